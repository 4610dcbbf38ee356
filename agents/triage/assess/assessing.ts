import { setImmediate as nextTurn } from 'node:timers/promises';
import { Failure } from '#bus/failure.ts';
import { type Severity, compareSeverity } from '#bus/fields.ts';
import type { Assessment } from '#bus/messages/assessment.ts';
import { type Clock, toInstant } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import type { Catalogue } from '#playbooks/playbook.ts';
import type { Assessor } from './assess.ts';
import { candidatesFor } from './candidates.ts';
import type { IncidentFacts } from './incident-facts.ts';
import type { Desk } from '../desk.ts';
import type { IncidentRecord } from '../incident/incident.ts';
import { messageOfIncident } from '../incident/incident-message.ts';
import { blockMs, proposeFrom } from '../plans/propose.ts';
import { targetsOf } from '../plans/target.ts';
import { within } from '../within.ts';

interface AssessingOptions {
  desk: Desk;
  assessor: Assessor;
  catalogue: Catalogue;
  clock: Clock;
  log: Log;
  /** After the commit: the opinion goes on the bus. */
  publish: (assessment: Assessment) => void;
}

/** An opinion may take so long; the first message never waits for it. */
const limitMs = 4 * 60_000;
const atOnce = 2;
const pauseMs = 60_000;
const maximumMembers = 20;

/** Gets an opinion for each open incident, critical ones first; one for each root that an incident has had. */
export class Assessing {
  readonly #options: AssessingOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #waiting = { critical: new Set<string>(), other: new Set<string>() };
  readonly #stopping = new AbortController();
  #cancelPause: (() => void) | undefined;

  constructor(options: AssessingOptions) {
    this.#options = options;
  }

  /** Takes those of them that want an opinion. */
  want(changed: Iterable<IncidentRecord>): void {
    const { critical, other } = this.#waiting;
    for (const incident of changed) {
      if (needsOpinion(incident)) (incident.severity === 'critical' ? critical : other).add(incident.id);
    }
    this.#begin();
  }

  length(): number {
    return this.#waiting.critical.size + this.#waiting.other.size + this.#running.size;
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Failure('Cannot go on assessing: triage stops', { recoverable: true }));
    this.#cancelPause?.();
    await Promise.all(this.#running.values());
  }

  #begin(): void {
    if (this.#stopping.signal.aborted || this.#cancelPause !== undefined) return;
    while (this.#running.size < atOnce) {
      const incident = this.#next();
      if (incident === undefined) return;
      this.#running.set(incident.id, this.#assess(incident));
    }
  }

  #next(): IncidentRecord | undefined {
    for (const ids of [this.#waiting.critical, this.#waiting.other]) {
      for (const id of ids) {
        if (this.#running.has(id)) continue;
        ids.delete(id);
        const incident = this.#options.desk.world.incident(id);
        if (incident !== undefined && needsOpinion(incident)) return incident;
      }
    }
    return undefined;
  }

  async #assess(incident: IncidentRecord): Promise<void> {
    const { desk, log } = this.#options;
    try {
      // Rules wait for nothing: without a turn before each, opinions hold up the first message, the bus and the inbox.
      await nextTurn();
      if (this.#stopping.signal.aborted) return;
      await assess(this.#options, incident, this.#stopping.signal);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log.error({ incident: incident.id, reason: error.message }, 'an opinion was not kept');
      this.#pause();
    } finally {
      this.#running.delete(incident.id);
    }
    this.want([desk.world.incident(incident.id) ?? incident]);
  }

  /** An opinion that cannot be kept is not paid for again at once. */
  #pause(): void {
    this.#cancelPause?.();
    this.#cancelPause = this.#options.clock.after(pauseMs, () => {
      this.#cancelPause = undefined;
      this.#begin();
    });
  }
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
  const limit = { clock, ms: limitMs, late: 'Cannot assess: no answer in time', signal: stopping };
  let opinion: Assessment;
  try {
    opinion = await within(limit, (signal) => Promise.race([assessor.assess(facts, signal), abortOf(signal)]));
  } catch (error) {
    if (stopping.aborted) return;
    if (!(error instanceof Failure)) throw error;
    opinion = none(incident, error.message, desk.now);
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
  const candidates = candidatesFor(root, catalogue).filter(({ playbook, parameters }) => {
    const targets = targetsOf(root.host === undefined ? [] : [root.host], parameters);
    return !desk.store.incidents.isBlocked(playbook.id, targets, { incident: incident.id, since });
  });
  return {
    incident: messageOfIncident(incident),
    root,
    members: incident.members.slice(0, maximumMembers).flatMap((member) => find(member.fingerprint) ?? []),
    candidates,
    inventory: [...desk.inventory.nodes.values()].filter((node) => node.type === 'host').map((node) => node.name),
  };
}
