import { describe, expect, test } from 'vitest';
import { ConfigSchema } from '#config/schema.ts';
import { answering } from '../../../test/parts/check-context.ts';
import { discover, thingsOf } from '../../../test/parts/discovery-context.ts';
import { inspected, startDockerEngine } from '../../../test/parts/docker-engine.ts';
import { source } from './docker.ts';

describe('the engine of this machine', () => {
  test('tells the containers that are to stay, on the host that is this machine', async () => {
    await using engine = await startDockerEngine([
      { name: 'nextcloud', policy: 'always' },
      { name: 'stopped', status: 'exited', policy: 'unless-stopped' },
      { name: 'one-shot', status: 'exited', policy: 'no' },
    ]);
    const things = thingsOf(await discover(source, { socket: engine.socketPath }));
    expect(things.map(({ name, on, type }) => [name, on, type])).toEqual([
      ['nextcloud', 'here', 'container'],
      ['stopped', 'here', 'container'],
    ]);
  });

  test.each(['error', 'garbage'] as const)('that answers with an %s says nothing', async (fault) => {
    await using engine = await startDockerEngine([{ name: 'web' }]);
    engine.fault = fault;
    expect(await discover(source, { socket: engine.socketPath })).toMatchObject({ is: 'silent' });
  });

  test('that is not there says nothing: its containers are not gone', async () => {
    expect(await discover(source, { socket: '/nowhere/docker.sock' })).toMatchObject({ is: 'silent' });
  });
});

describe('a host', () => {
  const { hosts } = ConfigSchema.parse({ hosts: { vps: {} } });

  test('is asked with its command over the read login', async () => {
    const row = JSON.stringify(inspected({ name: 'blog', policy: 'always' }, 'ab'.repeat(32)));
    const probes = { runnerFor: () => answering(`\n@@containers\n${row}\n\n@@end containers 0\n`) };
    expect(thingsOf(await discover(source, { host: 'vps' }, { hosts, probes }))).toMatchObject([
      { name: 'blog', on: 'vps' },
    ]);
  });

  test('that is not in the configuration says so', async () => {
    expect(await discover(source, { host: 'vpn' }, { hosts })).toMatchObject({
      is: 'silent',
      reason: expect.stringContaining('"vpn"'),
    });
  });
});
