import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Clock, toInstant } from '#agents/runtime/clock.ts';
import type { Log } from '#agents/runtime/log.ts';
import type { Metrics } from '#agents/runtime/metrics.ts';
import { loadPlugins } from '#agents/runtime/plugins.ts';
import { Failure } from '#bus/failure.ts';
import type { Assessment } from '#bus/messages/assessment.ts';
import type { Config, ProviderConfig } from '#config/schema.ts';
import { resolveSecret } from '#config/secrets.ts';
import type { Candidate, Catalogue } from '#playbooks/playbook.ts';
import { type Skill, loadSkills, matchingSkills } from '#skills/skill.ts';
import { ModelAnswer, type ModelOpinion, readAnswer } from './answer.ts';
import type { IncidentFacts } from './incident-facts.ts';
import type { Inquiry } from '../llm/attempt.ts';
import { type Budget, createBudget } from '../llm/budget.ts';
import { type Ledger, type Spent, openLedger } from '../llm/ledger.ts';
import { Member } from '../llm/member.ts';
import type { ProviderKind, Question } from '../llm/provider.ts';
import { type Outcome, Router } from '../llm/router.ts';
import { candidatesFor } from './candidates.ts';
import { composePrompt, longestShortness } from './prompt.ts';
import { acceptProposal } from './accept-proposal.ts';
import { createVeil } from './redact.ts';
import { type Opinion, assessByRules } from './rules.ts';

/** Gives opinions. Works with no model at all; with models it adds theirs. */
export interface Assessor {
  /** Contract: always an assessment, by the rules when no model answers; throws only the signal's reason, or a bug. */
  assess(facts: IncidentFacts, signal: AbortSignal): Promise<Assessment>;
  /** What each provider cost in the running month (UTC). */
  spending(): Spent[];
  readonly capEuro: number;
  status(): { provider: string; state: string }[];
  /** Texts that a person should see once: a refused key, an empty purse, the cap. */
  onNotice(listener: (text: string) => void): void;
  /** Ends what is under way. */
  close(): void;
}

interface AssessorOptions {
  config: Config;
  /** Folder of the configuration file, for `file` references. */
  baseFolder: string;
  stateFolder: string;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  catalogue: Catalogue;
}

export async function createAssessor(options: AssessorOptions): Promise<Assessor> {
  const { config, clock, log, metrics } = options;
  const ledger = openLedger(join(options.stateFolder, 'llm.db'));
  const { skills, faults } = await loadSkills();
  for (const fault of faults) log.warn(fault, 'a skill is not as it should be');
  const listeners: ((text: string) => void)[] = [];
  const notify = (text: string): void => {
    log.warn({ notice: text }, 'about the models');
    for (const listener of listeners) listener(text);
  };
  const budget = createBudget({ ledger, llm: config.llm, now: () => clock.now() });
  const router = new Router({
    members: await openMembers(options, { ledger, notify }),
    budget,
    clock,
    log,
    metrics,
    onCap: () => {
      const text = `The monthly cap of ${budget.capEuro} euro for models is reached: free models and rules answer until the month ends (UTC).`;
      if (ledger.sayOnce(`cap ${budget.month()} ${budget.capEuro}`, clock.now())) notify(text);
    },
  });
  return new ModelAssessor(options, { ledger, budget, router, skills, listeners });
}

async function openMembers(
  options: AssessorOptions,
  { ledger, notify }: { ledger: Ledger; notify: (text: string) => void },
): Promise<Member[]> {
  const { providers } = options.config.llm;
  if (providers.length === 0) return [];
  const kinds = await loadPlugins<ProviderKind>({
    folder: new URL('../llm/providers/', import.meta.url),
    exportName: 'provider',
    kindOf: (plugin) => plugin.kind,
  });
  return providers.flatMap((config) => {
    const kind = kinds.get(config.kind);
    const { apiKey: ref } = config;
    const apiKey = (): string | undefined =>
      ref === undefined ? undefined : resolveSecret(ref, options.baseFolder, (text) => options.log.warn(text));
    if (kind === undefined) return [];
    return [new Member({ config, kind, apiKey, ledger, now: () => options.clock.now(), notify })];
  });
}

interface Parts {
  ledger: Ledger;
  budget: Budget;
  router: Router;
  skills: readonly Skill[];
  listeners: ((text: string) => void)[];
}

class ModelAssessor implements Assessor {
  readonly #options: AssessorOptions;
  readonly #parts: Parts;
  #isClosed = false;

  constructor(options: AssessorOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
  }

  get capEuro(): number {
    return this.#parts.budget.capEuro;
  }

  async assess(facts: IncidentFacts, signal: AbortSignal): Promise<Assessment> {
    const opinion = assessByRules(facts);
    if (this.#options.config.llm.providers.length === 0) return this.#byRules(facts, opinion);
    const shown = this.#playbooksFor(facts);
    const outcome = await this.#askModels(facts, { opinion, shown, signal });
    if (outcome.is === 'unanswered') return this.#byRules(facts, opinion, outcome);
    return this.#byModel(facts, { opinion, outcome, shown });
  }

  /** A disk that cannot keep the ledger is a reason for no answer: no money is spent that is not written down. */
  async #askModels(
    facts: IncidentFacts,
    by: { opinion: Opinion; shown: readonly Candidate[]; signal: AbortSignal },
  ): Promise<Outcome<ModelOpinion>> {
    try {
      return await this.#parts.router.ask(this.#inquiry(facts, by), by.signal);
    } catch (error) {
      if (by.signal.aborted || this.#isClosed || !(error instanceof Failure)) throw error;
      this.#options.log.error({ incident: facts.incident.id, reason: error.message }, 'the models were not asked');
      return { is: 'unanswered', reason: error.message, passedOver: [], costEuro: 0 };
    }
  }

  #inquiry(
    facts: IncidentFacts,
    { opinion, shown }: { opinion: Opinion; shown: readonly Candidate[] },
  ): Inquiry<ModelOpinion> {
    return {
      longestShortness,
      compose: (provider, shortness) => {
        const veil = this.#veilFor(provider);
        const skills = matchingSkills(this.#parts.skills, facts.root.labels);
        const prompt = composePrompt({
          facts,
          rulesCause: opinion.cause,
          candidates: shown,
          skills,
          veil,
          shortness,
        });
        return {
          question: {
            system: prompt.system,
            turns: [{ role: 'user', text: prompt.user }],
            shape: ModelAnswer,
            shapeName: 'assessment',
            maxOutputTokens: provider.maxOutputTokens,
          },
          read: (value) => readAnswer(value, { evidence: prompt.evidence, veil }),
        };
      },
    };
  }

  spending(): Spent[] {
    return this.#parts.ledger.spent(this.#parts.budget.month());
  }

  status(): { provider: string; state: string }[] {
    return this.#parts.router.status();
  }

  onNotice(listener: (text: string) => void): void {
    this.#parts.listeners.push(listener);
  }

  close(): void {
    this.#isClosed = true;
    const { router, ledger } = this.#parts;
    // What was under way settles its money first.
    router.close(() => ledger.close());
  }

  /** What a model may name: what answers the root, and what answers its symptoms on the same host. */
  #playbooksFor(facts: IncidentFacts): Candidate[] {
    const near = facts.members.filter((member) => member.host === facts.root.host && member.status === 'firing');
    const all = [...facts.candidates, ...near.flatMap((member) => candidatesFor(member, this.#options.catalogue))];
    const byId = new Map(all.toReversed().map((candidate) => [candidate.playbook.id, candidate]));
    return [...byId.values()].toReversed().slice(0, 12);
  }

  #veilFor(provider: ProviderConfig): ReturnType<typeof createVeil> {
    const hosts = Object.entries(this.#options.config.hosts);
    return createVeil({
      sees: provider.sees,
      hosts: [
        ...hosts.flatMap(([name, host]) => (host.address === undefined ? [name] : [name, host.address])),
        ...Object.keys(this.#options.config.services),
        this.#options.config.site,
      ],
      users: hosts.flatMap(([, host]) => [host.read?.user, host.act?.user]).filter((user) => user !== undefined),
      nonce: randomBytes(2).toString('hex'),
    });
  }

  #byRules(
    facts: IncidentFacts,
    opinion: Opinion,
    outcome?: Extract<Outcome<unknown>, { is: 'unanswered' }>,
  ): Assessment {
    return {
      incident: facts.incident.id,
      source: 'rules',
      ...opinion,
      failovers: (outcome?.passedOver ?? []).slice(0, 10),
      costEuro: outcome?.costEuro ?? 0,
      ...(outcome !== undefined && { notAssessed: reasonOf(outcome) }),
      at: toInstant(this.#options.clock.now()),
    };
  }

  #byModel(
    facts: IncidentFacts,
    answered: {
      opinion: Opinion;
      outcome: Extract<Outcome<ModelOpinion>, { is: 'answered' }>;
      shown: readonly Candidate[];
    },
  ): Assessment {
    const { outcome, opinion, shown } = answered;
    const { value, provider, draft } = outcome;
    const accepted = acceptProposal(value, { facts, shown, freePaths: this.#options.config.remediation.freePaths });
    if (!accepted.ok) {
      this.#options.log.info(
        { incident: facts.incident.id, reason: accepted.fault },
        'a model named no valid playbook',
      );
    }
    const proposal = accepted.ok ? accepted.proposal : opinion.proposal;
    return {
      incident: facts.incident.id,
      source: 'model',
      provider: provider.name.slice(0, 60),
      model: provider.model,
      cause: value.cause,
      confidence: value.confidence,
      evidence: value.evidence,
      ...(proposal !== undefined && { proposal }),
      failovers: outcome.passedOver.slice(0, 10),
      costEuro: outcome.costEuro,
      promptDigest: digestOf(draft.question),
      at: toInstant(this.#options.clock.now()),
    };
  }
}

/** SHA-256 of all that was sent, for the journal. */
function digestOf({ system, turns }: Question): string {
  const hash = createHash('sha256').update(system);
  for (const { text } of turns) hash.update('\0').update(text);
  return hash.digest('hex');
}

function reasonOf(outcome: Extract<Outcome<unknown>, { is: 'unanswered' }>): string {
  const last = outcome.passedOver.at(-1);
  return `${outcome.reason}${last === undefined ? '' : `; ${last.reason}`}`.slice(0, 600);
}
