import { Failure, messageOf } from '#bus/failure.ts';
import { type Severity, compareSeverity } from '#bus/fields.ts';
import type { Assessment } from '#bus/messages/assessment.ts';
import { type Clock, toInstant } from '#agents/runtime/clock.ts';
import type { Catalogue } from '#playbooks/playbook.ts';
import type { Assessor, IncidentFacts } from './assess.ts';
import type { Desk } from './desk.ts';
import { type IncidentRecord, messageOfIncident } from './incident.ts';
import { blockMs, proposeFrom } from './plans.ts';

export interface AssessingOptions {
  desk: Desk;
  assessor: Assessor;
  catalogue: Catalogue;
  clock: Clock;
  /** After the commit: the opinion goes on the bus. */
  publish: (assessment: Assessment) => void;
}

/** An opinion may take so long; the first message never waits for it. */
const limitMs = 4 * 60_000;
const atOnce = 2;
const pauseMs = 60_000;
const maximumMembers = 20;

/** Gets an opinion for each open incident, the worst first; one for each root that an incident has had. */
export interface Assessing {
  /** Looks for incidents without an opinion; called after each change. */
  wake(): void;
  length(): number;
  stop(): Promise<void>;
}

export function createAssessing(options: AssessingOptions): Assessing {
  const running = new Map<string, Promise<void>>();
  const stopping = new AbortController();
  let pausedUntil = 0;
  const wanted = (): IncidentRecord[] =>
    [...options.desk.world.incidents.values()]
      .filter((incident) => needsOpinion(incident) && !running.has(incident.id))
      .toSorted((a, b) => compareSeverity(b.severity, a.severity) || a.startsAt - b.startsAt);
  function wake(): void {
    if (stopping.signal.aborted || running.size >= atOnce || options.clock.now() < pausedUntil) return;
    for (const incident of wanted().slice(0, atOnce - running.size)) {
      const work = assess(options, incident, stopping.signal)
        .catch((error: unknown) => {
          if (!(error instanceof Failure)) throw error;
          // An opinion that cannot be kept is not paid for again at once.
          pausedUntil = options.clock.now() + pauseMs;
          options.desk.log.error({ incident: incident.id, reason: error.message }, 'an opinion was not kept');
        })
        .finally(() => {
          running.delete(incident.id);
          wake();
        });
      running.set(incident.id, work);
    }
  }
  return {
    wake,
    length: () => wanted().length + running.size,
    async stop() {
      stopping.abort(new Failure('Stopped assessing: triage stops', { recoverable: true }));
      await Promise.all(running.values());
    },
  };
}

const floor: Severity = 'warning';

/** Information alone costs no money; an incident that is acknowledged still wants its cause. */
function needsOpinion(incident: IncidentRecord): boolean {
  if (incident.state !== 'open' || compareSeverity(incident.severity, floor) < 0) return false;
  return incident.assessedRoot !== incident.root;
}

async function assess(options: AssessingOptions, incident: IncidentRecord, stopping: AbortSignal): Promise<void> {
  const { desk, assessor, clock } = options;
  const facts = factsOf(options, incident);
  if (facts === undefined) return note(options, incident, none(incident, 'its finding is not in the store', desk.now));
  const timeout = new AbortController();
  const cancel = clock.after(limitMs, () =>
    timeout.abort(new Failure('Cannot assess: no answer in time', { recoverable: true })),
  );
  const signal = AbortSignal.any([stopping, timeout.signal]);
  let opinion: Assessment;
  try {
    opinion = await Promise.race([assessor.assess(facts, signal), abortOf(signal)]);
  } catch (error) {
    if (stopping.aborted) return;
    if (!(error instanceof Failure)) throw error;
    opinion = none(incident, messageOf(error), desk.now);
  } finally {
    cancel();
  }
  if (!stopping.aborted) note(options, incident, opinion);
}

/** An assessor that does not listen to its signal holds up nothing else. */
function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

function note(options: AssessingOptions, incident: IncidentRecord, assessment: Assessment): void {
  const { desk } = options;
  desk.transact(() => {
    desk.store.incidents.saveAssessment(assessment, incident.root);
    desk.change(incident.id, { type: 'assessed', root: incident.root });
    const { source, provider = null, model = null, confidence, costEuro } = assessment;
    const playbook = assessment.proposal?.playbook ?? null;
    desk.journal('assessment', incident.id, { source, provider, model, confidence, costEuro, playbook });
    proposeFrom(desk, assessment, options.catalogue);
    desk.afterCommit(() => options.publish(assessment));
  });
}

function none(incident: IncidentRecord, why: string, now: number): Assessment {
  return {
    incident: incident.id,
    source: 'none',
    cause: incident.title,
    confidence: 0,
    evidence: [],
    failovers: [],
    costEuro: 0,
    notAssessed: why.slice(0, 600),
    at: toInstant(now),
  };
}

function factsOf({ desk, catalogue }: AssessingOptions, incident: IncidentRecord): IncidentFacts | undefined {
  const find = (fingerprint: string) => desk.store.findings.newest(fingerprint)?.finding;
  const root = find(incident.root);
  if (root === undefined) return undefined;
  const since = desk.now - blockMs;
  const candidates = catalogue.candidates(root.labels).filter(({ playbook }) => {
    const hosts = root.host === undefined ? [] : [root.host];
    return !desk.store.incidents.isBlocked(playbook.id, hosts, { incident: incident.id, since });
  });
  return {
    incident: messageOfIncident(incident),
    root,
    members: incident.members.slice(0, maximumMembers).flatMap((member) => find(member.fingerprint) ?? []),
    candidates,
    inventory: [...desk.inventory.nodes.values()].filter((node) => node.type === 'host').map((node) => node.name),
  };
}
