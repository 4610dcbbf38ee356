import { ConfigSchema } from '#config/schema.ts';
import { provider as compatible } from '#agents/triage/llm/providers/compatible.ts';
import type { Question } from '#agents/triage/llm/provider.ts';
import { ModelAnswer } from '#agents/triage/assess/answer.ts';
import { AssessorBench, never } from '../parts/assessor.ts';
import { faults } from '../parts/llm.ts';
import type { Bench } from './row.ts';
import { interleave, percentile, timed } from './samples.ts';

const warmUp = 20;
const questions = 1_000;

/** The first provider is out and rests; the second answers. */
export const failover: Bench = {
  about: `${questions} questions through the router past a provider that is out, against the same one asked directly`,
  async run() {
    await using bench = await AssessorBench.start();
    bench.first.otherwise(faults.overloaded());
    const assessor = await bench.open();
    await bench.assess(assessor);
    const direct = await askDirectly(bench);
    const pair = {
      ours: () => timed(() => assessor.assess(bench.facts, never)),
      floor: () => timed(direct),
    };
    await interleave(warmUp, pair);
    const { ours, floor } = await interleave(questions, pair);
    const row = (share: number, name: string) => ({
      name: `failover ${name}`,
      ours: percentile(ours, share),
      floor: percentile(floor, share),
      against: 'the second provider asked directly with the same prompt',
      unit: 'ms',
    });
    return [row(0.5, 'p50'), { ...row(0.99, 'p99'), aim: { of: 'added', atMost: 2 } }];
  },
};

/** The last prompt that came to the second provider, put to it again by its SDK alone. */
async function askDirectly(bench: AssessorBench): Promise<() => Promise<unknown>> {
  const [config] = ConfigSchema.parse({
    llm: { providers: [{ name: 'second', kind: 'compatible', model: 'm', baseUrl: bench.second.url }] },
  }).llm.providers;
  if (config === undefined) throw new Error('There is no provider');
  const provider = await compatible.open(config, { apiKey: undefined, now: () => Date.now() });
  const text = bench.second.requests.at(-1)?.prompt ?? '';
  const question: Question = {
    system: 'You are asked directly.',
    turns: [{ role: 'user', text }],
    shape: ModelAnswer,
    shapeName: 'assessment',
    maxOutputTokens: 1_500,
  };
  return () => provider.ask(question, never);
}
