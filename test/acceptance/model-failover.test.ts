import { expect, test } from 'vitest';
import type { ChatMessage } from '../parts/telegram.ts';
import { faults, type LlmFake, ok, startAnthropic, startOpenai } from '../parts/llm.ts';
import { House } from './house.ts';

const minute = 60_000;
const price = { inputPerMillion: 3, outputPerMillion: 15 };
const opinion = {
  cause: 'The disk of the backup is full.',
  confidence: 0.7,
  evidence: [],
  playbook: null,
  parameters: [],
};

test.concurrent('out of credit: the second answers and says so, and the first is taken back after one small question', async () => {
  await using models = await startModels();
  const { first } = models;
  first.otherwise(faults.creditBalance());
  // Each job goes missing at another time, and each missing job asks for an opinion.
  const periods = { morning: '1m', noon: '10m', evening: '80m' };
  await using house = await House.open({ config: configOf(periods, { providers: providersOf(models) }) });
  const morning = await house.message(/heartbeat "morning"/);
  await assessed(house, morning, '(second m2, confidence 70 %)');
  expect(morning.text).toContain('The second model says so.');
  expect(morning.text).toMatch(/Passed over first: .*answered 400: Your credit balance is too low/);
  expect(morning.text).toMatch(/Cost 0\.\d{4} €/);
  const asked = first.requests.length;
  expect(asked).toBe(1);

  await house.pass(10 * minute, 2_000);
  const noon = await house.message(/heartbeat "noon"/);
  await assessed(house, noon, '(second m2, confidence 70 %)');
  expect(noon.text).toMatch(/Passed over first: cooling down until/);
  expect(first.requests).toHaveLength(asked);
  const notices = (): ChatMessage[] => house.messages().filter(({ text }) => !text.includes('heartbeat'));
  expect(notices().map(({ text }) => text)).toEqual([expect.stringMatching(/first.*credit/is) as string]);

  first.otherwise(ok(opinion));
  await house.pass(70 * minute, 5_000);
  const evening = await house.message(/heartbeat "evening"/);
  await assessed(house, evening, '(first m1, confidence 70 %)');
  expect(evening.text).not.toContain('Passed over');
  const [probe, question] = first.requests.slice(asked);
  expect(probe?.prompt.length).toBeLessThan(200);
  expect(question?.prompt).toContain('evening');
  expect(first.requests).toHaveLength(asked + 2);
});

test.concurrent('at the monthly cap the rules answer, the card says why, and people are told once', async () => {
  await using models = await startModels();
  const { first } = models;
  const llm = { providers: providersOf(models).slice(0, 1), monthlyCapEuro: 0.005 };
  await using house = await House.open({ config: configOf({ one: '1m', two: '3m', three: '5m' }, llm) });
  await assessed(house, await house.message(/heartbeat "one"/), '(first m1, confidence 70 %)');
  for (const name of ['two', 'three']) {
    const card = await house.message(new RegExp(`heartbeat "${name}"`));
    await assessed(house, card, '(by rule');
    expect(card.text).toContain('the monthly cap of 0.005 euro is reached');
  }
  expect(first.requests).toHaveLength(1);
  const told = (): ChatMessage[] => house.messages().filter(({ text }) => text.startsWith('The monthly cap of 0.005'));
  await house.until(() => told().length > 0, 'the notice');
  await house.pass(2 * minute);
  expect(told()).toHaveLength(1);
  house.anna.say('/cost');
  await house.message(/first: .*0\.006/);
});

test.concurrent('an overloaded model is passed over, and heard again once it answers', async () => {
  await using models = await startModels();
  const { first } = models;
  first.otherwise(faults.overloaded());
  const llm = { providers: providersOf(models) };
  await using house = await House.open({ config: configOf({ one: '1m', two: '6m' }, llm) });
  const one = await house.message(/heartbeat "one"/);
  await assessed(house, one, '(second m2');
  expect(one.text).toMatch(/Passed over first: .*529/);
  first.otherwise(ok(opinion));
  const two = await house.message(/heartbeat "two"/);
  await assessed(house, two, '(first m1');
  expect(two.text).not.toContain('Passed over');
});

interface Models extends AsyncDisposable {
  first: LlmFake;
  second: LlmFake;
}

async function startModels(): Promise<Models> {
  const [first, second] = await Promise.all([startAnthropic(), startOpenai()]);
  first.otherwise(ok(opinion));
  second.otherwise(ok({ ...opinion, cause: 'The second model says so.' }));
  const close = async (): Promise<void> => {
    await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
  };
  return { first, second, [Symbol.asyncDispose]: close };
}

/** With more time than a test lets pass while a model thinks. */
function providersOf({ first, second }: Models): object[] {
  const common = { price, timeout: '15m' };
  return [
    { ...common, name: 'first', kind: 'anthropic', model: 'm1', baseUrl: first.url, apiKey: { file: 'model.key' } },
    { ...common, name: 'second', kind: 'compatible', model: 'm2', baseUrl: second.url },
  ];
}

function configOf(periods: Record<string, string>, llm: object): Record<string, unknown> {
  const common = { kind: 'heartbeat', host: 'nas', grace: '30s', every: '5s' };
  return {
    hosts: { nas: { via: 'local' } },
    checks: Object.entries(periods).map(([name, period]) => ({ ...common, id: name, ping: name, period })),
    llm,
  };
}

async function assessed(house: House, card: ChatMessage, by: string): Promise<void> {
  await house.until(() => card.text.includes(by), `an opinion ${by}`);
}
