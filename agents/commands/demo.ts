import { fstatSync } from 'node:fs';
import type { Command } from 'commander';
import { Failure } from '#bus/failure.ts';
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
  if (!context.flag('yes') && isNobodyThere()) {
    throw new Failure('Cannot ask for approval here: nobody can type; "lares demo --yes" approves for you', {
      recoverable: false,
    });
  }
  const verdict = await runDemo({
    terminal: { ...processTerminal(), ...(context.json && { output: process.stderr }) },
    log: context.log,
    signal: context.signal,
    approves: context.flag('yes'),
    say: (text) => void (context.json ? process.stderr : process.stdout).write(`${text}\n`),
  });
  if (context.json) context.printJson({ verdict: verdict ?? null });
  else if (verdict === undefined) context.print('Ended before the verdict; nothing is left behind.');
  else context.print(`That was the loop: the verdict is "${verdict.outcome}". Host, service and state are gone again.`);
  return verdict?.outcome === 'fixed' ? exitStatus.well : exitStatus.wrong;
}

/** Under cron, in a container or with `< /dev/null` no approval can ever come; a pipe may bring one. */
function isNobodyThere(): boolean {
  return !process.stdin.isTTY && fstatSync(0).isCharacterDevice();
}
