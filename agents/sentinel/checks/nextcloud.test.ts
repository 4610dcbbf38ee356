import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './nextcloud.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_NEXTCLOUD'] = 'nextcloud-test-token';
const token = { env: 'LARES_TEST_NEXTCLOUD' };
afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> => check.observe(check.options.parse(given), checkContext());

/** Nextcloud 30 with the serverinfo app. */
function nextcloud(status: object = {}, system: object = {}) {
  return ({ path, headers }: ApiRequest) => {
    if (path === '/status.php') {
      const usual = { installed: true, maintenance: false, needsDbUpgrade: false, version: '30.0.4.1' };
      return { body: { ...usual, versionstring: '30.0.4', edition: '', productname: 'Nextcloud', ...status } };
    }
    if (headers['nc-token'] !== 'nextcloud-test-token') return { status: 401, body: { ocs: { data: [] } } };
    const inside = { freespace: 500 * 1_073_741_824, apps: { num_updates_available: 0 }, ...system };
    return { body: { ocs: { meta: { statuscode: 200 }, data: { nextcloud: { system: inside } } } } };
  };
}

describe('Nextcloud', () => {
  test('in service is well', async () => {
    await using api = await startFakeApi(nextcloud());
    expect(words(await look({ url: api.url, token }))).toEqual([
      'nextcloud-down nextcloud ok',
      'nextcloud-maintenance nextcloud ok',
      'nextcloud-upgrade-needed nextcloud ok',
      'nextcloud-disk-full files level',
      'nextcloud-updates apps ok',
    ]);
  });

  test('in maintenance mode has half an hour, and is not asked for more', async () => {
    await using api = await startFakeApi(nextcloud({ maintenance: true }));
    const found = await look({ url: api.url, token });
    expect(words(found)).toEqual([
      'nextcloud-down nextcloud ok',
      'nextcloud-maintenance nextcloud warning',
      'nextcloud-upgrade-needed nextcloud ok',
    ]);
    expect(found[1]).toMatchObject({ holdMs: 1_800_000, summary: 'Nextcloud 30.0.4 is in maintenance mode' });
    expect(api.requests).toHaveLength(1);
  });

  test('that waits for its database is critical', async () => {
    await using api = await startFakeApi(nextcloud({ needsDbUpgrade: true }));
    expect(words(await look({ url: api.url }))).toContain('nextcloud-upgrade-needed nextcloud critical');
  });

  test('with little room and old apps tells both', async () => {
    await using api = await startFakeApi(
      nextcloud({}, { freespace: 1_073_741_824, apps: { num_updates_available: 3 } }),
    );
    const found = await look({ url: api.url, token });
    expect(found.map(({ summary }) => summary).slice(-2)).toEqual([
      'free for files: 1.0 GiB',
      '3 apps of Nextcloud can be updated',
    ]);
    expect(found.at(-2)?.reading).toMatchObject({ value: 1, warning: { trigger: 10 } });
  });

  test('with another token is unknown inside', async () => {
    await using api = await startFakeApi(nextcloud());
    expect(words(await look({ url: api.url, token: { env: 'HOME' } })).at(-1)).toBe(
      'nextcloud-disk-full files unknown',
    );
  });

  test('behind a proxy that answers with a page of its own is unknown', async () => {
    await using api = await startFakeApi(nextcloud());
    api.fault = 'wrong-content-type';
    expect(words(await look({ url: api.url }))).toEqual(['nextcloud-down nextcloud unknown']);
  });
});
