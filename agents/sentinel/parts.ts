import { type Journal, openJournal } from '#bus/journal.ts';
import type { Finding } from '#bus/messages/finding.ts';
import { loadSecret } from '#bus/keys.ts';
import type { Config } from '#config/schema.ts';
import type { AgentContext } from '#agents/runtime/agent.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import { Board } from './board.ts';
import type { Observation, OtherCheck } from './check.ts';
import { EvidenceGatherer } from './evidence.ts';
import type { FindingEvent } from './finding.ts';
import { Foreign } from './foreign/foreign.ts';
import { createHostFinder } from './foreign/hosts.ts';
import type { Source } from './foreign/source.ts';
import { createGateway, type Gateway } from './gateway.ts';
import { History } from './history.ts';
import { Keeping } from './keeping.ts';
import { Ledger, type LedgerEvent } from './ledger.ts';
import { isDown, type LookOptions, resting, whole, withoutBlame, withSleep } from './look.ts';
import { Memories } from './memory.ts';
import { asksReachability, isBad, reachabilityChecks, reachabilityOf } from './picture.ts';
import { createProbes, type Probes } from './probe.ts';
import { Publisher } from './publish.ts';
import { Rechecks } from './recheck.ts';
import type { BoundCheck } from './registry.ts';
import { Runner } from './runner.ts';
import { SentinelStore } from './store.ts';
import { followUpMs, type Watch } from './tracks.ts';

/** What a running sentinel is made of. */
export interface Parts {
  store: SentinelStore;
  history: History;
  keeping: Keeping;
  journal: Journal;
  probes: Probes;
  ledger: Ledger;
  foreign: Foreign;
  board: Board;
  runner: Runner;
  evidence: EvidenceGatherer;
  rechecks: Rechecks;
  publisher: Publisher;
}

interface Assembly {
  checks: readonly BoundCheck[];
  /** Who may report what it found itself. */
  sources: readonly Source[];
  probes?: Probes;
  /** Aborts when nobody looks any more. */
  lasting: AbortSignal;
  onEvent: (event: LedgerEvent) => void;
  /** For a finding that another program reports; stored already. */
  onForeign: (event: FindingEvent, finding: Finding) => void;
}

/** Opens the state and puts the parts together; nothing looks or speaks yet. */
export function assemble(context: AgentContext, assembly: Assembly): Parts {
  const { bus, config, clock, log, stateFolder, keysFolder } = context;
  const gateway = config.gateway === undefined ? undefined : createGateway({ address: config.gateway, clock });
  const checks = gateway === undefined ? assembly.checks : [...assembly.checks, gateway.check];
  const keeping = new Keeping({ clock, log });
  const store = new SentinelStore(stateFolder, (text) => keeping.note(text));
  const history = new History(stateFolder, { clock, keeping });
  const journal = openJournal(store.rows, loadSecret(keysFolder, 'journal'));
  const probes = assembly.probes ?? createProbes({ config, clock, log });
  const record = { store, history, keeping, clock, journal: findingsJournal(journal, clock) };
  const tell = (event: LedgerEvent): void => {
    if (event.event === 'fired') foreign.giveWay(event.finding.fingerprint);
    assembly.onEvent(event);
  };
  const ledger = new Ledger({ ...record, checks, tell });
  ledger.restore();
  const { sources, onForeign } = assembly;
  const foreign = new Foreign({ ...record, sources, hostOf: createHostFinder(config.hosts), tell: onForeign });
  foreign.restore();
  const board = new Board({ ledger, foreign, hosts: Object.keys(config.hosts) });
  const memories = new Memories(store.memory());
  const pings = {
    last: (id: string) => history.knownPing(id),
    knownSince: (id: string) => history.knownSince(id),
  };
  const others = (id: string): OtherCheck | undefined => ledger.lookOf(id);
  const { lasting } = assembly;
  const looking: LookOptions = { clock, log, probes, pings, others, lasting, baseFolder: context.baseFolder };
  const runner = createRunner(context, { ledger, memories, looking, checks, gateway });
  const rechecks = new Rechecks({
    bus,
    store,
    ledger,
    foreign,
    clock,
    log,
    lookNow: (check) => runner.lookNow(check),
    journal: ({ run, outcome }) => {
      journal.append({ at: clock.now(), kind: 'verdict', subject: run, body: { outcome } });
    },
  });
  const evidence = new EvidenceGatherer({ ...looking, history, memories, hosts: config.hosts });
  const publisher = new Publisher({ bus, store, board, clock, log, hosts: Object.keys(config.hosts) });
  return { store, history, keeping, journal, probes, ledger, foreign, board, runner, evidence, rechecks, publisher };
}

function findingsJournal(
  journal: Journal,
  clock: Clock,
): (event: FindingEvent, finding: Finding, endedBy?: string) => void {
  return (event, finding, endedBy) => {
    if (event === 'updated') return;
    const { occurrence, severity, check, summary, startsAt } = finding;
    const how = event === 'resolved' && endedBy !== undefined ? { endedBy } : {};
    const body = { event, occurrence, severity, check, summary, startsAt, ...how };
    journal.append({ at: clock.now(), kind: 'finding', subject: finding.fingerprint, body });
  };
}

function createRunner(
  context: AgentContext,
  of: {
    ledger: Ledger;
    memories: Memories;
    looking: LookOptions;
    checks: readonly BoundCheck[];
    gateway: Gateway | undefined;
  },
): Runner {
  const { ledger, gateway } = of;
  return new Runner({
    ...of.looking,
    checks: of.checks,
    memories: of.memories,
    metrics: context.metrics,
    insteadOfLooking: blocker(ledger.watches, context.config),
    review: async (check, observations) => {
      const seen = await reviewed(check, withoutAbsent(ledger.watches.get(check.id), observations), gateway);
      return isOnDemandService(check, context.config) ? withSleep(seen) : seen;
    },
    onLook: (check, result, memory) => {
      const watch = ledger.watches.get(check.id);
      if (watch !== undefined) ledger.take(watch, result, memory);
    },
    followUpMs: (check) => {
      const watch = ledger.watches.get(check.id);
      return watch && followUpMs(watch);
    },
  });
}

/** A host that rests or does not answer, or a check that this one stands on and that is not well, make a look pointless. */
function blocker(
  watches: ReadonlyMap<string, Watch>,
  config: Pick<Config, 'hosts' | 'services'>,
): (check: BoundCheck) => Observation | undefined {
  const reachability = reachabilityChecks(watches);
  const bearers = bearersOf(config);
  return (check) => {
    const { host } = check;
    const sleeper = check.definition.knowsSleep === true ? [] : bearers(check);
    const bed = sleeper.find((name) => reachabilityOf(reachability, name) === 'asleep');
    if (bed !== undefined) return resting(check, `host "${bed}" is asleep`);
    const isFar = check.definition.reach === 'host' && host?.config.via === 'ssh';
    if (isFar && reachabilityOf(reachability, host.name) === 'unreachable')
      return whole(check, `host "${host.name}" does not answer`);
    const sick = check.config.dependsOn.find((id) => isSick(watches.get(id)));
    return sick === undefined ? undefined : whole(check, `check "${sick}", which it depends on, is not well`);
  };
}

/** The hosts that carry what a check is about, nearest first; who asks whether a host is there is not borne by it. */
function bearersOf({ hosts, services }: Pick<Config, 'hosts' | 'services'>): (check: BoundCheck) => string[] {
  return (check) => {
    const { host, service } = check.config;
    const start = host ?? (service === undefined ? undefined : services[service]?.on);
    const found: string[] = [];
    for (let at = start; at !== undefined && !found.includes(at); at = hosts[at]?.on) found.push(at);
    return asksReachability(check) ? found.slice(1) : found;
  };
}

function isOnDemandService(check: BoundCheck, { services }: Pick<Config, 'services'>): boolean {
  const { service } = check.config;
  return service !== undefined && services[service]?.onDemand === true;
}

function isSick(watch: Watch | undefined): boolean {
  if (watch === undefined) return false;
  return [...watch.tracks.values()].some((track) => track.sort === 'problem' && isBad(track.state));
}

/** What nobody asked for and never was seen is not there: no ZFS, no sensors, no journal that may be read. */
function withoutAbsent(watch: Watch | undefined, observations: Observation[]): Observation[] {
  const isBlind = observations.every(({ reading }) => reading.is === 'unknown');
  const wasSeen = [...(watch?.tracks.values() ?? [])].some(({ sort }) => sort === 'problem');
  return watch?.check.isTried === true && isBlind && !wasSeen ? [] : observations;
}

/** While the gateway is silent, nothing beyond it can be called down. */
async function reviewed(
  check: BoundCheck,
  observations: Observation[],
  gateway: Gateway | undefined,
): Promise<Observation[]> {
  if (gateway === undefined || !check.isRemote || !observations.some(isDown)) return observations;
  return (await gateway.answers()) ? observations : withoutBlame(observations, gateway.reason);
}
