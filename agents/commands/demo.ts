import type { Command } from 'commander';
import { Failure } from '#bus/failure.ts';
import type { Verdict } from '#bus/messages/verdict.ts';
import { runDemo } from '../demo/demo.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { processTerminal } from './up.ts';

/** `lares demo`: the whole loop on a sacrificial service, in a minute, leaving nothing behind. */
export function addDemo(program: Command): void {
  addCommand(program, {
    name: 'demo',
    about:
      'Break a sacrificial service on loopback and go through the whole loop: finding, plan, approval, run, verdict',
    options: [['-y, --yes', 'approve for me', false]],
    run: demo,
  });
}

async function demo(context: CommandContext): Promise<number> {
  const verdict = await (context.flag('yes') ? show(context, context.signal) : showSomebody(context));
  if (context.json) context.printJson({ verdict: verdict ?? null });
  else if (verdict === undefined) context.print('Ended before the verdict; nothing is left behind.');
  else context.print(`That was the loop: the verdict is "${verdict.outcome}". Host, service and state are gone again.`);
  return verdict?.outcome === 'fixed' ? exitStatus.well : exitStatus.wrong;
}

/** Ends as soon as it is clear that nobody can approve. */
async function showSomebody(context: CommandContext): Promise<Verdict | undefined> {
  const nobody = new AbortController();
  onNobody(() => nobody.abort());
  const ended = await show(context, AbortSignal.any([context.signal, nobody.signal])).catch((error: unknown) => {
    if (!nobody.signal.aborted) throw error;
    return undefined;
  });
  if (!nobody.signal.aborted) return ended;
  throw new Failure('Cannot ask for approval here: nobody can type; "lares demo --yes" approves for you', {
    recoverable: false,
  });
}

function show(context: CommandContext, signal: AbortSignal): Promise<Verdict | undefined> {
  return runDemo({
    terminal: { ...processTerminal(), ...(context.json && { output: process.stderr }) },
    log: context.log,
    signal,
    approves: context.flag('yes'),
    say: (text) => void (context.json ? process.stderr : process.stdout).write(`${text}\n`),
  });
}

/** Under cron or with `< /dev/null` no approval can ever come; what a pipe brought before its end may be one. */
function onNobody(leave: () => void): void {
  process.stdin.once('end', () => {
    if (!process.stdin.readableDidRead) leave();
  });
}
