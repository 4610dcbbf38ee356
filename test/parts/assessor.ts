import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { type Log, createLog } from '#agents/runtime/log.ts';
import { createMetrics, type Metrics } from '#agents/runtime/metrics.ts';
import { type VirtualClock, createVirtualClock } from './virtual-clock.ts';
import { type Assessor, createAssessor } from '#agents/triage/assess/assess.ts';
import { Assessment } from '#bus/messages/assessment.ts';
import { ConfigSchema } from '#config/schema.ts';
import { loadCatalogue } from '#playbooks/catalogue.ts';
import type { Catalogue } from '#playbooks/playbook.ts';
import { factsOf, findingOf } from './incident-facts.ts';
import { type LlmFake, ok, startAnthropic, startOpenai } from './llm.ts';

export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;
const start = Date.parse('2026-11-20T03:00:00Z');
export const price = { inputPerMillion: 3, outputPerMillion: 15 };
export const never = new AbortController().signal;

/** What the fake models think unless they are told otherwise. */
export const opinion = { cause: 'The shop leaks.', confidence: 0.7, evidence: [1], playbook: null, parameters: [] };

export interface Changes {
  first?: object;
  second?: object;
  llm?: object;
  /** No providers at all. */
  none?: boolean;
}

/** An assessor over two fake endpoints, under a virtual clock, with its state in a folder of its own. */
export class AssessorBench implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'lares-assess-'));
  readonly clock: VirtualClock = createVirtualClock(start);
  readonly metrics: Metrics = createMetrics();
  readonly notices: string[] = [];
  readonly first: LlmFake;
  readonly second: LlmFake;
  readonly facts: ReturnType<typeof factsOf>;
  readonly #catalogue: Catalogue;
  readonly #opened: Assessor[] = [];
  logged = '';

  private constructor(fakes: { first: LlmFake; second: LlmFake }, catalogue: Catalogue) {
    this.first = fakes.first;
    this.second = fakes.second;
    this.#catalogue = catalogue;
    this.facts = factsOf(findingOf(), { catalogue });
    this.first.otherwise(ok(opinion));
    this.second.otherwise(ok({ ...opinion, cause: 'The second says so.' }));
    this.writeKey('sk-fake-abcdefghijklmnopqrstuv');
  }

  static async start(): Promise<AssessorBench> {
    const [first, second, catalogue] = await Promise.all([startAnthropic(), startOpenai(), loadCatalogue()]);
    return new AssessorBench({ first, second }, catalogue);
  }

  writeKey(key: string): void {
    writeFileSync(join(this.folder, 'key'), `${key}\n`, { mode: 0o600 });
  }

  /** `first` speaks as Anthropic, `second` as a compatible endpoint; each with what a test changes. */
  async open(changes: Changes = {}): Promise<Assessor> {
    const key = { apiKey: { file: 'key' } };
    const providers = [
      { name: 'first', kind: 'anthropic', model: 'm', baseUrl: this.first.url, price, ...key, ...changes.first },
      { name: 'second', kind: 'compatible', model: 'm', baseUrl: this.second.url, price, ...changes.second },
    ];
    const assessor = await createAssessor({
      config: ConfigSchema.parse({
        hosts: { web: {}, db: {} },
        llm: { providers: changes.none === true ? [] : providers, ...changes.llm },
      }),
      baseFolder: this.folder,
      stateFolder: this.folder,
      clock: this.clock,
      log: this.#log(),
      metrics: this.metrics,
      catalogue: this.#catalogue,
    });
    assessor.onNotice((text) => this.notices.push(text));
    this.#opened.push(assessor);
    return assessor;
  }

  /** Assesses the sample incident; what comes back fits the message. */
  async assess(assessor: Assessor): Promise<Assessment> {
    return Assessment.parse(await assessor.assess(this.facts, never));
  }

  #log(): Log {
    const destination = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.logged += chunk.toString();
        done();
      },
    });
    return createLog({ level: 'debug', name: 'test', destination });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const assessor of this.#opened) assessor.close();
    await Promise.all([this.first[Symbol.asyncDispose](), this.second[Symbol.asyncDispose]()]);
    rmSync(this.folder, { recursive: true });
  }
}
