import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import { keyIdOf, loadPublicKey } from '#bus/keys.ts';
import { type AgentState, agentState } from '#bus/messages/agent-state.ts';
import type { CommandContext } from '../commands/command.ts';
import { withConsole } from '../commands/console.ts';
import { everyone } from '../crew.ts';
import { distrustIn } from '../runtime/trust.ts';
import { stateFolders } from '../state-folder.ts';
import type { Finding } from './finding.ts';

/** Retained states arrive at once; so long is waited for those that never come. */
const settleMs = 500;
const answerMs = 5_000;

export async function* examineCrew(context: CommandContext): AsyncGenerator<Finding> {
  const states = new Map<string, AgentState>();
  const trust: Finding[] = [];
  try {
    await withConsole(context, async (bus) => {
      bus.subscribe(agentState, (state) => void states.set(state.agent, state));
      await sleep(settleMs, undefined, { signal: context.signal });
      if (states.get('remediation')?.state === 'online') trust.push(...(await examineTrust(bus, context)));
    });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // What a command says behind the semicolon is what mends it.
    const [text = ''] = error.message.split('; ');
    yield { subject: 'bus', ok: false, text, mend: 'lares up' };
    return;
  }
  yield { subject: 'bus', ok: true, text: 'answers' };
  for (const agent of everyone) yield examineAgent(agent, states.get(agent));
  yield* trust;
}

/** Whether the worker believes the keys of this machine: it drops without a word what it cannot believe. */
async function examineTrust(bus: Bus, context: CommandContext): Promise<Finding[]> {
  const folder = stateFolders(context.loaded).keys;
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(answerMs)]);
  const ours = (['triage', 'console'] as const).filter((name) => existsSync(join(folder, `${name}.key`)));
  try {
    const answer = await bus.request('signers', {}, signal);
    return ours.map((name) => examineKey(answer, { name, file: join(folder, `${name}.pub`) }));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const text = error.recoverable ? 'remediation does not answer' : error.message;
    return [{ subject: 'approvals', ok: false, text, mend: 'look at the log of remediation' }];
  }
}

function examineKey(answer: unknown, { name, file }: { name: 'triage' | 'console'; file: string }): Finding {
  const subject = 'approvals';
  const distrust = distrustIn(answer, { name, keyId: keyIdOf(loadPublicKey(file)), file });
  if (distrust === undefined) return { subject, ok: true, text: `the worker believes the key of ${name}` };
  return { subject, ok: false, text: distrust.text, mend: distrust.mend };
}

function examineAgent(agent: string, state: AgentState | undefined): Finding {
  if (state?.state === 'online')
    return { subject: agent, ok: true, text: `online since ${state.since}, version ${state.version}` };
  const text = state === undefined ? 'was never seen on this bus' : `offline since ${state.since}`;
  return { subject: agent, ok: false, text, mend: `lares up, or lares ${agent} on an external broker` };
}
