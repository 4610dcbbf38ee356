import { Failure } from '#bus/failure.ts';
import type { People } from '#config/people.ts';
import { parseDuration } from '#config/duration.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import type { Catalogue } from '#playbooks/playbook.ts';
import type { AgentWatch, Watched } from '../agent-watch.ts';
import type { Assessor } from '../assess/assess.ts';
import { cardPlan } from '../card.ts';
import type { Person } from '../channel.ts';
import type { Desk } from '../desk.ts';
import type { IncidentRecord } from '../incident/incident.ts';
import type { Nightly } from '../digest/nightly.ts';
import type { Publishing } from '../publishing.ts';
import { countsText, spentText } from '../digest/text.ts';
import { frozenBy, setFrozen } from '../freeze.ts';
import { dayAndTime } from '../local-time.ts';
import { propose } from '../plans/propose.ts';
import { detailsText } from '../details.ts';
import { oneMessage } from '../present.ts';
import { parseRun } from '../plans/parse-run.ts';
import { acknowledge, snooze, snoozeMs } from './attend.ts';
import { type AskedToResolve, resolveOne } from './resolve.ts';
import { type CommandName, commandEntries, commandList, describeCommand, isCommandName } from './command-list.ts';

export interface CommandOptions {
  desk: Desk;
  people: People;
  catalogue: Catalogue;
  assessor: Pick<Assessor, 'spending' | 'capEuro' | 'status'>;
  nightly: Pick<Nightly, 'now'>;
  watch: Pick<AgentWatch, 'all'>;
  publishing: Pick<Publishing, 'freeze'>;
  /** Asks the worker to go on, and tells what it answers. */
  thaw: (asked: { person: Person; reason: string }) => void;
  /** Asks sentinel to end what others reported, and tells what it answers. */
  resolve: (asked: AskedToResolve) => void;
}

interface Call {
  person: Person;
  argument: string;
}

type Handler = (options: CommandOptions, call: Call) => string;

const handlers: Record<CommandName, Handler> = {
  status,
  incidents,
  ack: ({ desk }, { person, argument }) =>
    onIncident(desk, argument, (incident) => acknowledge(desk, incident, person)),
  snooze: snoozeOne,
  resolve: ({ desk, resolve }, { person, argument }) =>
    onIncident(desk, argument, (incident) => resolveOne(desk, { incident, person, resolve })),
  freeze: freezeAll,
  unfreeze,
  run,
  plan,
  digest: ({ nightly }) => nightly.now(),
  cost,
  who,
  help,
};

/** Answers a command in words. Somebody who may not learns only that. */
export function answerCommand(options: CommandOptions, call: Call & { name: string }): string {
  const { desk, people } = options;
  const name = call.name.toLowerCase();
  const role = isCommandName(name) ? commandList[name].role : 'reader';
  if (!people.may(call.person.id, role)) {
    desk.transact(() => desk.journal('refused', 'command', { by: call.person.id, action: name.slice(0, 40) }));
    return `You may not use /${name.slice(0, 40)}.`;
  }
  if (!isCommandName(name)) return `I do not understand "${name.slice(0, 40)}". /help lists what I do.`;
  try {
    return desk.transact(() => handlers[name](options, call));
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
}

function status({ desk, watch }: CommandOptions): string {
  const open = desk.world.open();
  const manifest = desk.store.manifests.newest();
  const frozen = frozenBy(desk);
  const counts = manifest?.counts;
  return [
    open.length === 0
      ? 'Nothing is open.'
      : `${open.length} open: ${open
          .slice(0, 5)
          .map((incident) => incident.title)
          .join('; ')}`,
    counts === undefined ? 'No sentinel has reported yet.' : countsText(counts),
    ...(manifest?.unseen ?? []).slice(0, 5).map(({ reason, count }) => `could not check ${count}: ${reason}`),
    ...(frozen === undefined ? [] : [`Remediation is frozen by ${frozen.by}: ${frozen.reason}`]),
    ...watch.all().map(agentLine),
    `triage: ${Math.round(process.memoryUsage.rss() / 1_048_576)} MB, ${desk.outbox.length()} messages waiting`,
  ].join('\n');
}

function agentLine({ agent, state, announcedAt, health }: Watched): string {
  const memory = health === undefined ? '' : `, ${Math.round(health.residentBytes / 1_048_576)} MB`;
  return `${agent}: ${announcedAt === undefined ? state : 'offline'}${memory}`;
}

function incidents({ desk }: CommandOptions, { argument }: Call): string {
  if (argument !== '') {
    return onIncident(desk, argument, (incident) => detailsText(desk, incident));
  }
  const open = desk.world.open();
  if (open.length === 0) return 'Nothing is open.';
  const zone = desk.config.digest.timezone;
  const lines = open.slice(0, 20).map((incident) => {
    const by = incident.acknowledgedName === undefined ? '' : `, acknowledged by ${incident.acknowledgedName}`;
    return `${incident.id} ${incident.severity} ${incident.title} (since ${dayAndTime(incident.startsAt, zone)}, ${incident.members.length} findings${by})`;
  });
  return [...lines, ...(open.length > 20 ? [`and ${open.length - 20} more`] : [])].join('\n');
}

/** The one that is meant: by id, by the beginning of one, or the only open one. Several are listed to choose from. */
function onIncident(desk: Desk, text: string, work: (incident: IncidentRecord) => string): string {
  const found = desk.world.matching(text);
  if (found !== undefined) return work(found);
  const wanted = text.trim().toLowerCase();
  const candidates = desk.world.open().filter(({ id }) => id.startsWith(wanted));
  if (candidates.length === 0) return wanted === '' ? 'Nothing is open.' : 'There is no such incident.';
  return ['Say which:', ...candidates.slice(0, 10).map(({ id, title }) => `${id} ${title}`)].join('\n');
}

function snoozeOne({ desk }: CommandOptions, { person, argument }: Call): string {
  const words = argument.split(/\s+/).filter((word) => word !== '');
  const duration = words.map(parseDuration).find((ms) => ms !== undefined);
  const id = words.find((word) => parseDuration(word) === undefined) ?? '';
  return onIncident(desk, id, (incident) => snooze(desk, incident, { person, forMs: duration ?? snoozeMs }));
}

function freezeAll({ desk, publishing }: CommandOptions, { person, argument }: Call): string {
  const reason = argument.trim().slice(0, 300) || 'asked for in chat';
  const freeze = { frozen: true as const, by: person.id, reason, at: toInstant(desk.now) };
  setFrozen(desk, freeze);
  desk.afterCommit(() => publishing.freeze(freeze));
  const text = `Remediation is frozen by ${person.name}: ${reason}`;
  desk.outbox.notice(`freeze:${freeze.at}`, { type: 'notice', text, silent: true });
  return 'Frozen: no step starts until somebody unfreezes.';
}

function unfreeze({ desk, thaw }: CommandOptions, { person, argument }: Call): string {
  const reason = argument.trim().slice(0, 300) || 'allowed again in chat';
  desk.afterCommit(() => thaw({ person, reason }));
  return 'The worker is asked to go on; it says here whether it does.';
}

function run({ desk, catalogue }: CommandOptions, { person, argument }: Call): string {
  const parsed = parseRun(argument, { catalogue, inventory: desk.inventory });
  if ('refusal' in parsed) return parsed.refusal;
  propose(desk, { draft: parsed.draft, by: person.id });
  return `The worker is asked for a plan of "${parsed.draft.playbook}"; it appears here to be decided.`;
}

function plan({ desk }: CommandOptions, { argument }: Call): string {
  if (argument.trim() === '') {
    const waiting = desk.store.plans.pendingPlans();
    if (waiting.length === 0) return 'No plan waits for a decision.';
    return waiting.map(({ id, risk, title }) => `${id} ${risk} ${title}`).join('\n');
  }
  const found = desk.store.plans.plan(argument.trim());
  if (found === undefined) return 'There is no such plan.';
  const shown = cardPlan(found);
  const head = `${found.title}, risk ${found.risk}, ${found.status}${found.reason === undefined ? '' : `: ${found.reason}`}`;
  if (shown === undefined) return head;
  const looks = shown.looks.length === 0 ? [] : ['looks:', ...shown.looks];
  const rollback = shown.rollback.length === 0 ? [] : ['rollback:', ...shown.rollback];
  return oneMessage([head, ...shown.commands, ...looks, ...rollback, `sha256 ${shown.digest}`].join('\n'));
}

function cost({ assessor }: CommandOptions): string {
  const entries = assessor.spending();
  if (entries.length === 0) return 'No model is configured: rules only, nothing is spent.';
  const states = new Map(assessor.status().map(({ provider, state }) => [provider, state]));
  const lines = entries.map(
    ({ provider, calls, euro }) =>
      `${provider}: ${euro.toFixed(3)} €, ${calls} calls, ${states.get(provider) ?? 'unknown'}`,
  );
  return [`This month: ${spentText(entries, assessor.capEuro)}`, ...lines].join('\n');
}

function who({ people }: CommandOptions, { person }: Call): string {
  const roles = ['approver', 'operator', 'reader'] as const;
  const list = roles.map((role) => `${role}: ${people.withRole(role).join(', ') || 'nobody'}`);
  return [...list, `You are ${person.id}.`].join('\n');
}

function help({ people }: CommandOptions, { person }: Call): string {
  return commandEntries
    .filter(([, entry]) => people.may(person.id, entry.role))
    .map(([name, entry]) => `/${name} ${describeCommand(entry)}`)
    .join('\n');
}
