import { Failure } from '#bus/failure.ts';
import { compareSeverity } from '#bus/fields.ts';
import type { Freeze } from '#bus/messages/freeze.ts';
import type { People, Role } from '#config/people.ts';
import { parseDuration } from '#config/duration.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import type { Catalogue } from '#playbooks/playbook.ts';
import type { Watched } from '../agent-watch.ts';
import { frozenBy } from '../plans/approval.ts';
import { cardPlan } from '../card.ts';
import type { Person } from '../channel.ts';
import type { Desk } from '../desk.ts';
import type { Spending } from '../digest/facts.ts';
import type { IncidentRecord } from '../incident/incident.ts';
import { newestManifest } from '../intake/findings.ts';
import { localTime } from '../local-time.ts';
import { propose } from '../plans/plans.ts';
import { acknowledge, snooze, snoozeMs } from './press.ts';
import { detailsText } from '../present.ts';
import { parseRun } from '../plans/run-command.ts';

export interface CommandOptions {
  desk: Desk;
  people: People;
  catalogue: Catalogue;
  digest: () => string;
  spending: () => readonly Spending[];
  capEuro: number;
  providers: () => readonly { provider: string; state: string }[];
  agents: () => readonly Watched[];
  publishFreeze: (freeze: Freeze) => void;
}

interface Call {
  person: Person;
  argument: string;
}

interface Command {
  role: Role;
  about: string;
  run: (options: CommandOptions, call: Call) => string;
}

const commands: Record<string, Command> = {
  status: { role: 'reader', about: 'how everything is', run: status },
  incidents: { role: 'reader', about: '[id]: what is open, or one incident whole', run: incidents },
  ack: { role: 'operator', about: '<id>: somebody is on it, no reminders', run: ack },
  snooze: { role: 'operator', about: '<id> [2h]: quiet for a while', run: snoozeCommand },
  freeze: {
    role: 'operator',
    about: '[reason]: stop all remediation now',
    run: (options, call) => setFrozen(options, call, true),
  },
  unfreeze: {
    role: 'approver',
    about: 'allow remediation again',
    run: (options, call) => setFrozen(options, call, false),
  },
  run: { role: 'approver', about: '<playbook> <host> [name=value ...]: ask for a plan', run: runCommand },
  plan: { role: 'reader', about: '[id]: plans that wait, or one with its commands', run: planCommand },
  digest: { role: 'reader', about: 'the digest now', run: (options) => options.digest() },
  cost: { role: 'reader', about: 'what the models cost this month', run: cost },
  who: { role: 'reader', about: 'who may do what', run: who },
  help: { role: 'reader', about: 'this', run: help },
};

/** Answers a command in words. Somebody who may not learns only that. */
export function runCommandOf(options: CommandOptions, call: Call & { name: string }): string {
  const { desk, people } = options;
  const name = call.name.toLowerCase() === 'start' ? 'help' : call.name.toLowerCase();
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  const role = command?.role ?? 'reader';
  if (!people.may(call.person.id, role)) {
    desk.transact(() => desk.journal('refused', 'command', { by: call.person.id, action: name.slice(0, 40) }));
    return `You may not use /${name.slice(0, 40)}.`;
  }
  if (command === undefined) return `I do not understand "${name.slice(0, 40)}". /help lists what I do.`;
  try {
    return desk.transact(() => command.run(options, call));
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
}

function status({ desk, agents }: CommandOptions): string {
  const open = openIncidents(desk);
  const manifest = newestManifest(desk);
  const frozen = frozenBy(desk);
  const counts = manifest?.counts;
  return [
    open.length === 0
      ? 'Nothing is open.'
      : `${open.length} open: ${open
          .slice(0, 5)
          .map((incident) => incident.title)
          .join('; ')}`,
    counts === undefined
      ? 'No sentinel has reported yet.'
      : `${counts.checks} checks on ${counts.hosts} hosts: ${counts.ok} ok, ${counts.pending} pending, ${counts.firing} firing, ${counts.unknown} unknown, ${counts.stale} stale`,
    ...(manifest?.unseen ?? []).slice(0, 5).map(({ reason, count }) => `could not check ${count}: ${reason}`),
    ...(frozen === undefined ? [] : [`Remediation is frozen by ${frozen.by}: ${frozen.reason}`]),
    ...agents().map(agentLine),
    `triage: ${Math.round(process.memoryUsage.rss() / 1_048_576)} MB, ${desk.outbox.length()} messages waiting`,
  ].join('\n');
}

function agentLine({ agent, state, announcedAt, health }: Watched): string {
  const memory = health === undefined ? '' : `, ${Math.round(health.residentBytes / 1_048_576)} MB`;
  return `${agent}: ${announcedAt === undefined ? state : 'offline'}${memory}`;
}

export function openIncidents(desk: Desk): IncidentRecord[] {
  return [...desk.world.incidents.values()]
    .filter((incident) => incident.state === 'open' || incident.state === 'grouping')
    .toSorted((a, b) => compareSeverity(b.severity, a.severity) || a.startsAt - b.startsAt);
}

function incidents({ desk }: CommandOptions, { argument }: Call): string {
  if (argument !== '') {
    const found = find(desk, argument);
    return found === undefined ? 'There is no such incident.' : detailsText(desk, found);
  }
  const open = openIncidents(desk);
  if (open.length === 0) return 'Nothing is open.';
  const zone = desk.config.digest.timezone;
  const lines = open.slice(0, 20).map((incident) => {
    const { day, time } = localTime(incident.startsAt, zone);
    const by = incident.acknowledgedName === undefined ? '' : `, acknowledged by ${incident.acknowledgedName}`;
    return `${incident.id} ${incident.severity} ${incident.title} (since ${day} ${time}, ${incident.members.length} findings${by})`;
  });
  return [...lines, ...(open.length > 20 ? [`and ${open.length - 20} more`] : [])].join('\n');
}

/** By id, or the only one that begins so; without an id the only open one. */
export function find(desk: Desk, text: string): IncidentRecord | undefined {
  const wanted = text.trim().toLowerCase();
  const open = openIncidents(desk);
  if (wanted === '') return open.length === 1 ? open[0] : undefined;
  const matching = open.filter((incident) => incident.id.startsWith(wanted));
  return matching.length === 1 ? matching[0] : desk.world.incident(wanted);
}

function ack({ desk }: CommandOptions, { person, argument }: Call): string {
  return acknowledge(desk, find(desk, argument), person);
}

const longestSnoozeMs = 7 * 24 * 60 * 60_000;

function snoozeCommand({ desk }: CommandOptions, { person, argument }: Call): string {
  const words = argument.split(/\s+/).filter((word) => word !== '');
  const duration = words.map(parseDuration).find((ms) => ms !== undefined);
  const id = words.find((word) => parseDuration(word) === undefined) ?? '';
  const forMs = Math.min(duration ?? snoozeMs, longestSnoozeMs);
  return snooze(desk, find(desk, id), { person, forMs });
}

function setFrozen(options: CommandOptions, { person, argument }: Call, frozen: boolean): string {
  const { desk } = options;
  const reason = argument.trim().slice(0, 300) || (frozen ? 'asked for in chat' : 'allowed again in chat');
  const freeze: Freeze = { frozen, by: person.id.slice(0, 120), reason, at: toInstant(desk.now) };
  desk.store.setFact('freeze', JSON.stringify(freeze));
  desk.store.setFact('freeze.pending', JSON.stringify(freeze));
  desk.journal('freeze', frozen ? 'frozen' : 'released', { by: freeze.by, reason });
  desk.afterCommit(() => options.publishFreeze(freeze));
  desk.outbox.notice(`freeze:${freeze.at}`, {
    type: 'notice',
    text: `${frozen ? 'Remediation is frozen' : 'Remediation is allowed again'} by ${person.name}: ${reason}`,
    silent: true,
  });
  return frozen ? 'Frozen: no step starts until somebody unfreezes.' : 'Remediation is allowed again.';
}

function runCommand({ desk, catalogue }: CommandOptions, { person, argument }: Call): string {
  const parsed = parseRun(argument, { catalogue, inventory: desk.inventory });
  if ('refusal' in parsed) return parsed.refusal;
  propose(desk, { draft: parsed.draft, by: person.id });
  return `The worker is asked for a plan of "${parsed.draft.playbook}"; it appears here to be decided.`;
}

function planCommand({ desk }: CommandOptions, { argument }: Call): string {
  if (argument.trim() === '') {
    const waiting = desk.store.plans.pendingPlans();
    if (waiting.length === 0) return 'No plan waits for a decision.';
    return waiting.map((plan) => `${plan.id} ${plan.risk} ${plan.title}`).join('\n');
  }
  const plan = desk.store.plans.plan(argument.trim());
  if (plan === undefined) return 'There is no such plan.';
  const shown = cardPlan(plan);
  const head = `${plan.title}, risk ${plan.risk}, ${plan.status}${plan.reason === undefined ? '' : `: ${plan.reason}`}`;
  if (shown === undefined) return head;
  const rollback = shown.rollback.length === 0 ? [] : ['rollback:', ...shown.rollback];
  return [head, ...shown.commands, ...rollback, `sha256 ${shown.digest}`].join('\n').slice(0, 3_900);
}

function cost({ spending, capEuro, providers }: CommandOptions): string {
  const entries = spending();
  if (entries.length === 0) return 'No model is configured: rules only, nothing is spent.';
  const total = entries.reduce((sum, entry) => sum + entry.euro, 0);
  const states = new Map(providers().map(({ provider, state }) => [provider, state]));
  const lines = entries.map(
    ({ provider, calls, euro }) =>
      `${provider}: ${euro.toFixed(3)} €, ${calls} calls, ${states.get(provider) ?? 'unknown'}`,
  );
  return [`This month: ${total.toFixed(2)} € of ${capEuro.toFixed(2)} €`, ...lines].join('\n');
}

function who({ people }: CommandOptions, { person }: Call): string {
  const roles = ['approver', 'operator', 'reader'] as const;
  const list = roles.map((role) => `${role}: ${people.withRole(role).join(', ') || 'nobody'}`);
  return [...list, `You are ${person.id}.`].join('\n');
}

function help({ people }: CommandOptions, { person }: Call): string {
  return Object.entries(commands)
    .filter(([, command]) => people.may(person.id, command.role))
    .map(([name, command]) => `/${name} ${command.about}`)
    .join('\n');
}
