import { expect, test } from 'vitest';
import { checkContext } from '../../../test/parts/check-context.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import type { OtherCheck } from '#agents/sentinel/check.ts';
import { check } from './guardian.ts';

kindContract(check, () => ({ name: 'backup-freshness', members: ['pbs'] }), { asksNobody: true });

const day = 86_400_000;
const well: OtherCheck = { lookedAt: 9 * day, since: 0, intervalMs: day, resources: 1, unseen: undefined };

async function observe(others: Record<string, OtherCheck | undefined>) {
  const context = checkContext({ clock: createVirtualClock(10 * day), others: (id) => others[id] });
  const options = check.options.parse({ name: 'backup-freshness', members: Object.keys(others) });
  const [found] = await check.observe(options, context);
  return found;
}

test('a guardian whose checks all looked is well', async () => {
  expect(await observe({ a: well, b: well })).toMatchObject({
    condition: 'guardian-broken',
    resource: 'backup-freshness',
    reading: { is: 'state', ok: true },
    summary: 'guardian backup-freshness looks at 2 checks',
  });
});

test('one sentence names the checks that could not look, missed their round or are gone', async () => {
  const found = await observe({
    well,
    refused: { ...well, unseen: 'it answered 401, it does not accept the login' },
    late: { ...well, lookedAt: 8 * day },
    gone: undefined,
    more: undefined,
  });
  expect(found?.reading).toMatchObject({ is: 'state', ok: false });
  expect(found?.summary).toBe(
    'guardian backup-freshness is broken: 4 of 5 checks did not look: refused (it answered 401, it does not accept the ' +
      'login), late (not looked at for 2d), gone (there is no such check) and 1 more',
  );
});

test('before its first round it has some minutes', async () => {
  const fresh = { ...well, lookedAt: undefined, since: 10 * day - 60_000 };
  expect((await observe({ fresh }))?.reading).toMatchObject({ ok: true });
  expect((await observe({ fresh: { ...fresh, since: 9 * day } }))?.reading).toMatchObject({ ok: false });
});

test('what is only tried counts from the first time that it could look', async () => {
  const others: Record<string, OtherCheck> = {
    zfs: { ...well, resources: 0 },
    smart: { ...well, unseen: 'needs root' },
  };
  const context = checkContext({ clock: createVirtualClock(10 * day), others: (id) => others[id] });
  const options = check.options.parse({ name: 'node-health', members: [], tried: ['zfs', 'smart'] });
  expect((await check.observe(options, context))[0]?.summary).toBe('guardian node-health looks at 0 checks');
  others['smart'] = well;
  expect((await check.observe(options, context))[0]?.summary).toBe('guardian node-health looks at 1 check');
  others['smart'] = { ...well, unseen: 'no answer within 5s' };
  expect((await check.observe(options, context))[0]).toMatchObject({
    reading: { ok: false },
    summary: 'guardian node-health is broken: 1 of 1 check did not look: smart (no answer within 5s)',
  });
});
