import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { systemClock } from '#agents/runtime/clock.ts';
import { ask } from '#agents/sentinel/inventory/ask.ts';
import { bindSources, loadSources } from '#agents/sentinel/inventory/registry.ts';
import { defineSource, type SourceDefinition } from '#agents/sentinel/inventory/source.ts';
import { ConfigSchema } from '#config/schema.ts';
import { discoveryContext } from '../parts/discovery-context.ts';
import { type ApiFaultSwitch, startFakeApi } from '../parts/fake-api.ts';

const sources = await loadSources();
const secret = { env: 'LARES_TEST_SOURCE' };
beforeAll(() => void vi.stubEnv('LARES_TEST_SOURCE', 'planted-secret'));
afterAll(() => void vi.unstubAllEnvs());

/** The least options of each source that asks an HTTP API. */
const overHttp: Record<string, (url: string) => object> = {
  proxmox: (url) => ({ url, token: secret }),
  prometheus: (url) => ({ url }),
  headscale: (url) => ({ url, token: secret }),
  homelable: (url) => ({ url, token: secret }),
};
const others: Record<string, object> = { docker: {}, ansible: { inventory: '/nowhere/hosts' } };

function boundTo(
  name: string,
  options: object,
  more: { known?: Map<string, SourceDefinition>; timeout?: string } = {},
) {
  const entry = { source: name, timeout: more.timeout ?? '5s', ...options };
  const config = ConfigSchema.parse({ discovery: [entry] });
  const known = more.known ?? sources;
  return bindSources(config, { known, names: [...known.keys()] });
}

test('every source is known to this test', () => {
  expect([...sources.keys()].toSorted()).toEqual([...Object.keys(overHttp), ...Object.keys(others)].toSorted());
});

test.each([...sources.keys()])('%s describes each of its options, and takes none of the common keys', (name) => {
  const shape = sources.get(name)?.options.shape ?? {};
  for (const [key, schema] of Object.entries(shape)) {
    expect.soft((schema as z.ZodType).description, key).toBeTruthy();
    expect.soft(['source', 'id', 'every', 'timeout', 'ignore', 'aliases']).not.toContain(key);
  }
  expect(boundTo(name, { urll: 'x' }).faults.some(({ message }) => message.includes('no option of this source'))).toBe(
    true,
  );
});

test('what is wrong in an entry is told with its place', () => {
  const config = ConfigSchema.parse({
    discovery: [{ source: 'proxmos' }, { source: 'docker', every: '1s' }, { source: 'docker' }, { source: 'docker' }],
  });
  const { faults } = bindSources(config, { known: sources, names: [...sources.keys()] });
  expect(faults.map(({ path, message }) => `${path.join('.')} ${message.slice(0, 60)}`)).toEqual([
    expect.stringContaining('discovery.0.source is no source of discovery: "proxmos", did you mean "proxmox"'),
    'discovery.1.every must be at least 1m',
    expect.stringContaining('discovery.3.id is used twice'),
  ]);
});

const faults: ApiFaultSwitch[] = [
  'reset',
  'unauthorized',
  'forbidden',
  'server-error-html',
  'truncated-json',
  'wrong-content-type',
  'not-the-shape',
];

describe.each(Object.keys(overHttp))('%s', (name) => {
  test.each(faults)('that meets %s says nothing, and not that there is nothing', async (fault) => {
    await using fake = await startFakeApi(() => ({ body: {} }));
    fake.fault = fault;
    const [source] = boundTo(name, overHttp[name]?.(fake.url) ?? {}).sources;
    if (source === undefined) throw new Error('the options of the test are wrong');
    const answer = await ask(source, discoveryContext());
    expect(answer).toMatchObject({ is: 'silent' });
    expect(JSON.stringify(answer)).not.toContain('planted');
  });
});

test.each(['proxmox', 'headscale', 'homelable'])('%s without its secret says what is missing', async (name) => {
  vi.stubEnv('LARES_TEST_SOURCE', undefined);
  const [source] = boundTo(name, overHttp[name]?.('http://127.0.0.1:9') ?? {}).sources;
  if (source === undefined) throw new Error('the options of the test are wrong');
  expect(await ask(source, discoveryContext())).toMatchObject({ reason: expect.stringContaining('is not set') });
  vi.stubEnv('LARES_TEST_SOURCE', 'planted-secret');
});

describe('a source', () => {
  const ofKind = (discover: SourceDefinition['discover']): Map<string, SourceDefinition> =>
    new Map([['own', defineSource({ source: 'own', about: '', options: z.object({}), discover })]]);
  const askOwn = async (discover: SourceDefinition['discover'], signal = new AbortController().signal) => {
    const [source] = boundTo('own', {}, { known: ofKind(discover), timeout: '50ms' }).sources;
    if (source === undefined) throw new Error('the source is not bound');
    return ask(source, discoveryContext({ signal }));
  };
  const hang: SourceDefinition['discover'] = (_options, { signal }) =>
    systemClock.sleep(60_000, signal).then(() => ({ is: 'silent', reason: '' }));

  test('that hangs says nothing after its time', async () => {
    expect(await askOwn(hang)).toEqual({ is: 'silent', reason: 'no answer within 0.05s' });
  });

  test('whose parser breaks harms nobody', async () => {
    expect(await askOwn(() => Promise.reject(new TypeError('x is undefined')))).toMatchObject({ is: 'silent' });
  });

  test('ends with the sentinel', async () => {
    await expect(askOwn(hang, AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped');
  });
});
