import type { Command } from 'commander';
import type { Bus } from '#bus/bus.ts';
import { type Crew, everyone, type Member, startCrew, type TerminalIo } from '../crew.ts';
import { visibleLine } from '../triage/render/visible.ts';
import { counted } from '../sentinel/probes/text.ts';
import { version } from '../version.ts';
import { bindLoaded } from './checks-of.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { pair } from './pairing.ts';

/** `lares up` runs the whole crew; `lares sentinel` and its like run one of them against an external broker. */
export function addUp(program: Command): void {
  addCommand(program, {
    name: 'up',
    about: 'Run all agents in this process: watch, explain, ask, fix, prove',
    run: (context) => run(context, everyone),
  });
  for (const member of ['sentinel', 'triage', 'remediation'] as const) {
    addCommand(program, {
      name: member,
      about: `Run ${member} alone, on the broker that bus.url names`,
      run: (context) => run(context, [member]),
    });
  }
}

async function run(context: CommandContext, members: readonly Member[]): Promise<number> {
  // Faults of the checks are told with their lines, before anything starts.
  if (members.includes('sentinel')) await bindLoaded(context.loaded);
  if (!context.json) context.print(headline(context, members));
  const crew = await startCrew({
    loaded: context.loaded,
    members,
    log: context.log,
    ...(members.includes('triage') && !context.json && { terminal: processTerminal() }),
  });
  const { terminal } = crew;
  const say = (text: string): void => (terminal === undefined ? context.print(text) : void terminal.say(text));
  const stage: Stage = { context, crew, members, say };
  try {
    introduce(stage);
    await Promise.race([aborted(context.signal), converse(stage)]);
  } finally {
    await crew.stop();
  }
  if (!context.json) context.print('Stopped.');
  return exitStatus.well;
}

/** The terminal of this process as a channel. */
export function processTerminal(): TerminalIo {
  return {
    input: process.stdin,
    output: process.stdout,
    color: process.stdout.isTTY && process.env['NO_COLOR'] === undefined,
    interactive: process.stdin.isTTY,
  };
}

interface Stage {
  context: CommandContext;
  crew: Crew;
  members: readonly Member[];
  /** Where the terminal is a channel, words go above its prompt and not into it. */
  say: (text: string) => void;
}

function headline({ loaded }: CommandContext, members: readonly Member[]): string {
  const who = members.length === everyone.length ? 'all agents' : members.join(', ');
  const source = loaded.file ?? 'no configuration file, so this machine with built-in checks';
  return `Lares ${version} (${who}), ${counted(Object.keys(loaded.config.hosts).length, 'host')}: ${source}.`;
}

function introduce({ context, crew, members, say }: Stage): void {
  const { config, file } = context.loaded;
  const hosts = Object.keys(config.hosts).length;
  const health = `http://${config.http.address}:${crew.httpPort}`;
  if (context.json) {
    context.printJson({
      event: 'started',
      version,
      members,
      hosts,
      file: file ?? null,
      health,
      state: crew.folders.root,
    });
    return;
  }
  say(`Health and metrics at ${health}, state in ${crew.folders.root}. Ctrl-C stops; a restart repeats no alert.`);
  if (file === undefined)
    say(
      'Next: "npm start -- demo" shows the whole loop; "npx lares init" looks around and writes a configuration; README adds Telegram.',
    );
}

/** What is said once things are known: the first round, and the pairing link when nobody can read yet. */
async function converse(stage: Stage): Promise<never> {
  const { context, crew, members, say } = stage;
  const { sentinel } = crew;
  if (sentinel !== undefined) {
    const summary = await sentinel.firstRound();
    if (context.json) context.printJson({ event: 'first-round', ...summary });
    else say(visibleLine(summary.text));
  }
  if (members.includes('triage') && context.loaded.config.telegram !== undefined) await invite(stage);
  return never();
}

async function invite({ context, crew, say }: Stage): Promise<void> {
  const isKnown = crew.people.withRole('reader').some((id) => id.startsWith('telegram:'));
  if (isKnown) return;
  if (context.json) return context.printJson({ event: 'nobody-paired', next: 'lares pair' });
  // Who opens the link may approve: it is for the eyes at this terminal, not for a journal or a container's log.
  if (!process.stdout.isTTY) return say('Nobody is paired on Telegram yet: run "lares pair" for a one-time link.');
  const bus: Bus = crew.access.connect('console');
  try {
    await bus.ready(context.signal);
    const person = await pair(bus, {
      role: 'approver',
      people: crew.people,
      signal: context.signal,
      onInvitation: ({ link, nonce }) =>
        say(`Pair your Telegram (10 minutes, once): ${link ?? `send the bot /start ${nonce}`}`),
    });
    if (person === undefined) say('Nobody paired; "lares pair" makes a new link.');
    else say(`Paired: ${visibleLine(person.name)} may approve.`);
  } finally {
    await bus.close();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
