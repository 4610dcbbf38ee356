import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '#agents/runtime/clock.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type FakeNodetool, nodetoolToken, startFakeNodetool } from '../../../test/parts/fake-nodetool.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { badOnes } from '../../../test/parts/problems.ts';
import { asleepOnes } from '../../../test/parts/readings.ts';
import { check } from './nodetool-proxy.ts';

const minuteMs = 60_000;
const noon = Date.UTC(2026, 10, 20, 12);
const token = { env: 'LARES_TEST_NODETOOL_TOKEN' };
process.env['LARES_TEST_NODETOOL_TOKEN'] = nodetoolToken;
process.env['LARES_TEST_NODETOOL_BAD'] = `${nodetoolToken} `;

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, token }));

let proxy: FakeNodetool;
beforeEach(async () => {
  proxy = await startFakeNodetool([
    { name: 'nodetool-main', path: '/', status: 'running', last_access_epoch: noon / 1_000 },
    { name: 'nodetool-image', path: '/image', status: 'exited', last_access_epoch: noon / 1_000 - 900 },
    { name: 'nodetool-new', path: '/new', status: 'not_created', last_access_epoch: null },
  ]);
});
afterEach(() => proxy[Symbol.asyncDispose]());

function watcher(more: object = {}) {
  const { memory } = checkContext();
  const options = check.options.parse({ url: proxy.url, token, ...more });
  const context = (now: number) =>
    checkContext({ memory, timeoutMs: 5_000, clock: { ...systemClock, now: () => now } });
  const look = async (now = noon): Promise<Observation[]> => {
    const found = await check.observe(options, context(now));
    expect(faultsOf(found)).toEqual([]);
    expectNoColdStart();
    return found;
  };
  const evidence = async (of: Observation) => {
    const told = await check.evidence.gather(options, context(noon), of);
    expectNoColdStart();
    return told;
  };
  return { look, evidence };
}

/** Whatever was looked at: nothing was started, and no path of a service was asked for. */
function expectNoColdStart(): void {
  expect(proxy.coldStarts).toEqual([]);
  expect(proxy.requests.filter(({ path }) => path !== '/healthz' && path !== '/status')).toEqual([]);
}

function set(name: string, change: { status?: string; last_access_epoch?: number | null }): void {
  Object.assign(proxy.services.find((service) => service.name === name) ?? {}, change);
}

test('a stopped service is asleep, and looking starts none', async () => {
  const found = await watcher().look();
  expect(badOnes(found)).toEqual([]);
  expect(asleepOnes(found)).toEqual(['nodetool-image', 'nodetool-new']);
  expect(found[0]?.summary).toMatch(/3 services, 2 asleep$/);
});

test('without a token only the proxy is asked, and only its health', async () => {
  expect(badOnes(await watcher({ token: undefined }).look())).toEqual([]);
  expect(proxy.requests.map(({ path }) => path)).toEqual(['/healthz']);
});

test('a token that differs by one space leaves the services unknown, not the proxy', async () => {
  const wrong = watcher({ token: { env: 'LARES_TEST_NODETOOL_BAD' } });
  // A secret is trimmed, so the space is not sent; the letter below is.
  expect(badOnes(await wrong.look())).toEqual([]);
  process.env['LARES_TEST_NODETOOL_BAD'] = `${nodetoolToken}x`;
  const found = await wrong.look();
  expect(badOnes(found)).toEqual([`unknown nodetool-down ${new URL(proxy.url).host} services`]);
});

describe('a service', () => {
  test.each([
    ['dead', ['critical nodetool-service-down nodetool-main']],
    ['paused', ['warning nodetool-service-down nodetool-main']],
    ['restarting', ['critical nodetool-service-restarting nodetool-main']],
    ['unknown', ['unknown nodetool-service-down nodetool-main']],
    ['created', []],
  ])('that is %s', async (status, expected) => {
    set('nodetool-main', { status });
    expect(badOnes(await watcher().look())).toEqual(expected);
  });

  test('that starts again and again is a loop', async () => {
    const { look } = watcher();
    for (let minute = 0; minute < 5; minute++) {
      set('nodetool-main', { status: minute % 2 === 0 ? 'exited' : 'running' });
      expect(badOnes(await look(noon + minute * minuteMs))).toEqual([]);
    }
    set('nodetool-main', { status: 'running' });
    const found = await look(noon + 5 * minuteMs);
    expect(badOnes(found)).toEqual(['critical nodetool-service-restarting nodetool-main']);
    expect(badOnes(await look(noon + 20 * minuteMs))).toEqual([]);
  });

  test('that runs without a known access is never stopped: the proxy was restarted', async () => {
    const { look, evidence } = watcher();
    set('nodetool-main', { last_access_epoch: null });
    expect(badOnes(await look())).toEqual([]);
    const found = await look(noon + 61 * minuteMs);
    expect(badOnes(found)).toEqual(['warning nodetool-never-stopped nodetool-main']);
    const observation = found.find(({ condition }) => condition === 'nodetool-never-stopped');
    expect(observation?.labels).toEqual({ service: 'nodetool-main', container: 'nodetool-main' });
    const told = observation === undefined ? [] : await evidence(observation);
    expect(told[0]?.lines).toContain('no access since the proxy started');
  });

  test('that was asked for and has no container could not be made', async () => {
    const { look } = watcher();
    set('nodetool-new', { last_access_epoch: noon / 1_000 });
    expect(badOnes(await look(noon + minuteMs / 2))).toEqual([]);
    expect(badOnes(await look(noon + 2 * minuteMs))).toEqual(['critical nodetool-service-down nodetool-new']);
  });
});

test.each([
  ['hang', 'critical'],
  ['server-error-html', 'critical'],
  ['wrong-content-type', 'unknown'],
] as const)('a proxy with the fault "%s" is %s', async (fault, word) => {
  proxy.fault = fault;
  expect(badOnes(await watcher().look()).map((text) => text.split(' ')[0])).toEqual([word]);
});
