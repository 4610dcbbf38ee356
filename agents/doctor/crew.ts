import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '#bus/failure.ts';
import { type AgentState, agentState } from '#bus/messages/agent-state.ts';
import type { CommandContext } from '../commands/command.ts';
import { withConsole } from '../commands/console.ts';
import { everyone } from '../crew.ts';
import type { Finding } from './finding.ts';

/** Retained states arrive at once; so long is waited for those that never come. */
const settleMs = 500;

export async function* examineCrew(context: CommandContext): AsyncGenerator<Finding> {
  const states = new Map<string, AgentState>();
  try {
    await withConsole(context, async (bus) => {
      bus.subscribe(agentState, (state) => void states.set(state.agent, state));
      await sleep(settleMs, undefined, { signal: context.signal });
    });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    yield { subject: 'bus', ok: false, text: error.message, mend: 'lares up' };
    return;
  }
  yield { subject: 'bus', ok: true, text: 'answers' };
  for (const agent of everyone) yield examineAgent(agent, states.get(agent));
}

function examineAgent(agent: string, state: AgentState | undefined): Finding {
  if (state?.state === 'online')
    return { subject: agent, ok: true, text: `online since ${state.since}, version ${state.version}` };
  const text = state === undefined ? 'was never seen on this bus' : `offline since ${state.since}`;
  return { subject: agent, ok: false, text, mend: `lares up, or lares ${agent} on an external broker` };
}
