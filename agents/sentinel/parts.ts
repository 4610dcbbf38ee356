import { type Journal, openJournal } from '#bus/journal.ts';
import type { Finding } from '#bus/messages/finding.ts';
import { loadSecret } from '#bus/keys.ts';
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
import { Ledger, type LedgerEvent } from './ledger.ts';
import { isDown, type LookOptions, withoutBlame } from './look.ts';
import { Memories } from './memory.ts';
import { isBad, reachabilityChecks, reachabilityOf } from './picture.ts';
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
  onEvent: (event: LedgerEvent) => void;
  /** For a finding that another program reports; stored already. */
  onForeign: (finding: Finding) => void;
}

/** Opens the state and puts the parts together; nothing looks or speaks yet. */
export function assemble(context: AgentContext, assembly: Assembly): Parts {
  const { bus, config, clock, log, stateFolder, keysFolder } = context;
  const gateway = config.gateway === undefined ? undefined : createGateway({ address: config.gateway, clock });
  const checks = gateway === undefined ? assembly.checks : [...assembly.checks, gateway.check];
  const store = new SentinelStore(stateFolder);
  const history = new History(stateFolder, clock);
  const journal = openJournal(store.rows, loadSecret(keysFolder, 'journal'));
  const probes = assembly.probes ?? createProbes({ config, clock, log });
  const keeping = { store, history, clock, log, journal: findingsJournal(journal, clock) };
  const ledger = new Ledger({ ...keeping, checks, tell: assembly.onEvent });
  ledger.restore();
  const { sources, onForeign } = assembly;
  const foreign = new Foreign({ ...keeping, sources, hostOf: createHostFinder(config.hosts), tell: onForeign });
  foreign.restore();
  const board = new Board({ ledger, foreign, hosts: Object.keys(config.hosts) });
  const memories = new Memories(store.memory());
  const pings = {
    last: (id: string) => history.lastPing(id),
    knownSince: (id: string) => history.knownSince(id),
  };
  const others = (id: string): OtherCheck | undefined => ledger.lookOf(id);
  const looking: LookOptions = { clock, log, probes, pings, others, baseFolder: context.baseFolder };
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
  const evidence = new EvidenceGatherer({ ...looking, history, memories });
  const publisher = new Publisher({ bus, store, board, clock, log, hosts: Object.keys(config.hosts) });
  return { store, history, journal, probes, ledger, foreign, board, runner, evidence, rechecks, publisher };
}

function findingsJournal(journal: Journal, clock: Clock): (event: FindingEvent, finding: Finding) => void {
  return (event, finding) => {
    if (event === 'updated') return;
    const { occurrence, severity, check, summary, startsAt } = finding;
    const body = { event, occurrence, severity, check, summary, startsAt };
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
    blockedBy: blocker(ledger.watches),
    review: (check, observations) => reviewed(check, observations, gateway),
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

/** A host that does not answer, or a check that this one stands on and that is not well, make a look pointless. */
function blocker(watches: ReadonlyMap<string, Watch>): (check: BoundCheck) => string | undefined {
  const reachability = reachabilityChecks(watches);
  return (check) => {
    const { host } = check;
    const isFar = check.definition.reach === 'host' && host?.config.via === 'ssh';
    if (isFar && reachabilityOf(reachability, host.name) === 'unreachable')
      return `host "${host.name}" does not answer`;
    const sick = check.config.dependsOn.find((id) => isSick(watches.get(id)));
    return sick === undefined ? undefined : `check "${sick}", which it depends on, is not well`;
  };
}

function isSick(watch: Watch | undefined): boolean {
  if (watch === undefined) return false;
  return [...watch.tracks.values()].some((track) => track.sort === 'problem' && isBad(track.state));
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
