import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { discover, thingsOf } from '../../../test/parts/discovery-context.ts';
import { startFakeApi } from '../../../test/parts/fake-api.ts';
import { source } from './headscale.ts';

const token = { env: 'LARES_TEST_HEADSCALE' };
beforeEach(() => void vi.stubEnv('LARES_TEST_HEADSCALE', 'hskey-api-planted'));
afterEach(() => void vi.unstubAllEnvs());

/** As Headscale 0.29 answers: identities are texts, `expiry` may be null. */
const nodes = [
  {
    id: '1',
    name: 'ws',
    givenName: 'workstation',
    ipAddresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
    online: true,
    lastSeen: '2026-11-20T10:00:00Z',
    expiry: null,
    user: { id: '1', name: 'stephane' },
    tags: ['tag:home'],
  },
  { id: '2', name: 'phone', givenName: '', ipAddresses: [], online: false, user: null, tags: [] },
];

test('nodes are machines; their tailnet address is a label and claims no other', async () => {
  await using fake = await startFakeApi(({ headers }) =>
    headers.authorization === 'Bearer hskey-api-planted' ? { body: { nodes } } : { status: 401, body: 'Unauthorized' },
  );
  expect(thingsOf(await discover(source, { url: fake.url, token }))).toEqual([
    {
      id: '1',
      name: 'workstation',
      type: 'machine',
      labels: { tailnet: '100.64.0.1', tailnet_user: 'stephane', tags: 'tag:home' },
    },
    { id: '2', name: 'phone', type: 'machine', labels: {} },
  ]);
});

test('an expired key says nothing', async () => {
  await using fake = await startFakeApi(() => ({ status: 401, body: 'Unauthorized' }));
  expect(await discover(source, { url: fake.url, token })).toMatchObject({
    is: 'silent',
    reason: expect.stringContaining('401'),
  });
});
