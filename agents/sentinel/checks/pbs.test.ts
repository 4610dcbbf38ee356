import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '#agents/runtime/clock.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { BackupModel, backupServerToken, type FakePbs, startFakePbs } from '../../../test/parts/fake-pbs.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { badOnes } from '../../../test/parts/problems.ts';
import { asleepOnes, oneOf } from '../../../test/parts/readings.ts';
import { startSilentPort } from '../../../test/parts/silent-port.ts';
import { check } from './pbs.ts';

const hourMs = 3_600_000;
const token = { env: 'LARES_TEST_PBS_TOKEN' };
process.env['LARES_TEST_PBS_TOKEN'] = backupServerToken;
process.env['LARES_TEST_PBS_EQUALS'] = backupServerToken.replace(/:(?=[^:]*$)/, '=');
process.env['LARES_TEST_PBS_BAD'] = 'lares@pbs!watch:ffffffff';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}`, token }));

let model: BackupModel;
let pbs: FakePbs;
beforeEach(async () => {
  model = new BackupModel();
  model.refusalDelayMs = 20;
  pbs = await startFakePbs(model);
});
afterEach(() => pbs[Symbol.asyncDispose]());

function watcher(more: object = {}, replaced: Partial<CheckContext> = {}) {
  const context = checkContext({ timeoutMs: 5_000, ...replaced });
  const look = async (again: object = {}): Promise<Observation[]> => {
    const options = check.options.parse({ url: pbs.url, token, ...more, ...again });
    const found = await check.observe(options, context);
    expect(faultsOf(found)).toEqual([]);
    return found;
  };
  return { look, context };
}

test('a server that is well has nothing bad, and every group is judged', async () => {
  const found = await watcher().look();
  expect(badOnes(found)).toEqual([]);
  expect(found.filter(({ condition }) => condition === 'backup-old')).toHaveLength(5);
  expect(pbs.requests.every(({ method }) => method === 'GET')).toBe(true);
});

describe('backups', () => {
  test('that are old, corrupt or were never proved good are told apart', async () => {
    for (const group of ['ct/101', 'ct/102', 'ct/103', 'ct/104']) model.forget(group);
    model.backedUp('ct/101', 27, { verification: 'ok' });
    model.backedUp('ct/102', 49, { verification: 'ok' });
    model.backedUp('ct/103', 2, { verification: 'failed' });
    model.backedUp('ct/103', 26, { verification: 'ok' });
    model.backedUp('ct/104', 1);
    const found = await watcher().look();
    expect(badOnes(found)).toEqual([
      'warning backup-old main ct/101',
      'critical backup-old main ct/102',
      'critical backup-corrupt main ct/103',
      'warning backup-unverified main ct/104',
    ]);
    expect(oneOf(found, 'backup-corrupt', 'main ct/103')).toMatchObject({
      summary:
        '1 backup of main ct/103 (guest-103) of 2 failed verification; it has a verified backup that is 1d2h old',
      labels: { store: 'main', group: 'ct/103', vmid: '103', guest: 'guest-103' },
    });
  });

  test('in a namespace count, and those left out do not', async () => {
    model.namespaces = ['', 'offsite'];
    model.backedUp('vm/200', 60, { ns: 'offsite', verification: 'ok' });
    expect(badOnes(await watcher().look())).toEqual(['critical backup-old main offsite vm/200']);
    expect(badOnes(await watcher({ ignoreGroups: ['vm/*'] }).look())).toEqual([]);
  });

  test('of a store with more snapshots than one answer holds are asked for group by group', async () => {
    model.padding = 'x'.repeat(300_000);
    const found = await watcher().look();
    expect(badOnes(found)).toEqual([]);
    expect(found.filter(({ condition }) => condition === 'backup-corrupt')).toHaveLength(5);
  });
});

describe('a store', () => {
  test('that fills up, will be full or cannot be used', async () => {
    const [main] = model.stores;
    Object.assign(main ?? {}, { used: (main?.total ?? 0) * 0.82, fullAt: model.seconds + 5 * 86_400 });
    expect(badOnes(await watcher().look())).toEqual(['warning pbs-store-full main', 'warning pbs-store-filling main']);
    Object.assign(main ?? {}, { error: 'unable to open chunk store' });
    expect(badOnes(await watcher().look())).toEqual(['critical pbs-store-failed main']);
  });

  test('whose date of being full is past is not filling', async () => {
    expect(oneOf(await watcher().look(), 'pbs-store-filling')?.summary).toBe('datastore main is not filling up');
  });

  test('with damaged chunks, or without a garbage collection for long', async () => {
    Object.assign(model.stores[0] ?? {}, { stillBad: 3, collectedAt: model.seconds - 9 * 86_400 });
    expect(badOnes(await watcher().look())).toEqual([
      'warning pbs-collection-old main',
      'critical pbs-chunks-damaged main',
    ]);
  });

  test('that is expected and not there is unknown', async () => {
    expect(badOnes(await watcher({ stores: ['main', 'tape'] }).look())).toEqual(['unknown pbs-down tape']);
  });
});

test('jobs and tasks that failed last are told with their log, until the same succeeds', async () => {
  const task = model.addTask('backup', 'main:ct/101', {
    status: 'connection error',
    log: ['starting', 'connection error'],
  });
  model.jobs = [{ sort: 'verify', id: 'v-1', store: 'main', state: 'verification failed', upid: task.upid }];
  const { look, context } = watcher();
  const found = await look();
  expect(badOnes(found)).toEqual(['critical pbs-job-failed verify v-1', 'critical pbs-task-failed backup main:ct/101']);
  const options = check.options.parse({ url: pbs.url, token });
  for (const failed of [
    oneOf(found, 'pbs-task-failed', 'backup main:ct/101'),
    oneOf(found, 'pbs-job-failed', 'verify v-1'),
  ]) {
    // The number of a task is another at each run and no part of what the finding is.
    expect(failed?.labels).not.toHaveProperty('upid');
    const evidence = failed === undefined ? [] : await check.evidence.gather(options, context, failed);
    expect(evidence[0]?.lines).toEqual(['starting', 'connection error']);
  }
  model.addTask('backup', 'main:ct/101', { status: 'OK' });
  model.jobs = [];
  expect(badOnes(await look())).toEqual([]);
});

describe('a server that may sleep', () => {
  test('is asleep when nobody answers, and the age of its backups goes on', async () => {
    await using off = await startSilentPort();
    let now = Date.now();
    const clock = { ...systemClock, now: () => now };
    const { look } = watcher({ onDemand: true }, { clock, timeoutMs: 4_600 });
    model.forget('ct/104');
    model.backedUp('ct/104', 0, { verification: 'ok' });
    const awake = await look();
    now += 24 * hourMs;
    const found = await look({ url: `http://127.0.0.1:${off.port}` });
    expect(asleepOnes(found)).toEqual([`127.0.0.1:${off.port}`]);
    expect(badOnes(found)).toEqual([100, 101, 102, 103].map((vmid) => `warning backup-old main ct/${vmid}`));
    expect(oneOf(found, 'backup-old', 'main ct/100')?.labels).toEqual(
      oneOf(awake, 'backup-old', 'main ct/100')?.labels,
    );
  });

  test('whose machine is on and refuses is down', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    expect(badOnes(await watcher({ onDemand: true, url }).look())).toEqual([`critical pbs-down ${new URL(url).host}`]);
  });

  test('that never may is down when nobody answers', async () => {
    pbs.fault = 'hang';
    expect(badOnes(await watcher({}, { timeoutMs: 4_600 }).look())).toEqual([
      `critical pbs-down ${new URL(pbs.url).host}`,
    ]);
  });
});

describe('a token', () => {
  test('that may see no datastore gets an empty list and no refusal, and that is not well', async () => {
    model.stores = [];
    const found = await watcher().look();
    expect(found).toMatchObject([{ reading: { is: 'unknown', reason: 'it shows no datastore to this token' } }]);
  });

  test('with the equals sign of Proxmox VE is explained', async () => {
    const [first] = await watcher({ token: { env: 'LARES_TEST_PBS_EQUALS' } }).look();
    expect(first?.reading).toMatchObject({ is: 'unknown', reason: expect.stringContaining('USER@REALM!NAME:SECRET') });
  });

  test('that is refused or may not look leaves it unknown, and the command that helps is named', async () => {
    const [refused] = await watcher({ token: { env: 'LARES_TEST_PBS_BAD' } }).look();
    expect(refused?.reading).toMatchObject({ is: 'unknown', reason: expect.stringContaining('lares@pbs!watch') });
    model.mayAudit = false;
    const [forbidden] = await watcher().look();
    expect(forbidden?.reading).toMatchObject({
      is: 'unknown',
      reason: expect.stringContaining("proxmox-backup-manager acl update / Audit --auth-id 'lares@pbs!watch'"),
    });
  });
});

test.each([
  ['server-error-html', 'critical'],
  ['truncated-json', 'unknown'],
  ['not-the-shape', 'unknown'],
] as const)('an API with the fault "%s" is %s', async (fault, word) => {
  pbs.fault = fault;
  expect(badOnes(await watcher().look()).map((text) => text.split(' ')[0])).toEqual([word]);
});
