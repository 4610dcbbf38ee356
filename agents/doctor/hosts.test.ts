import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { Folder, runCommand } from '../../test/parts/command.ts';
import { startSshHost } from '../../test/parts/ssh-host.ts';

/** What the doctor says of the logins of one host. */
async function examined(
  host: Record<string, unknown>,
): Promise<Map<string, { ok: boolean; text: string; mend?: string }>> {
  using folder = new Folder();
  writeFileSync(join(folder.path, 'lares.yaml'), stringify({ state: 'state', hosts: { web: host } }));
  const { stdout } = await runCommand(['doctor', '--json'], { cwd: folder.path });
  const { findings } = JSON.parse(stdout) as {
    findings: { subject: string; ok: boolean; text: string; mend?: string }[];
  };
  return new Map(findings.map((finding) => [finding.subject, finding]));
}

test('a key that is not there is made or named, and the host is not blamed', async () => {
  await using host = await startSshHost();
  const { user, keyFile, ...place } = host.target;
  const found = await examined({ ...place, read: { user, keyFile: '/nowhere/key' }, act: { user, keyFile } });
  expect(found.get('web (read)')).toMatchObject({
    ok: false,
    mend: `ssh-keygen -t ed25519 -f /nowhere/key -N '', or set hosts.web.read.keyFile to the key that is there`,
  });
  expect(found.get('web (act)')).toMatchObject({ ok: true });
});

test('a login that the host refuses is mended there, with the key that was tried', async () => {
  await using host = await startSshHost();
  host.fault = 'refuses-logins';
  const { user, keyFile, ...place } = host.target;
  const found = await examined({ ...place, read: { user, keyFile } });
  expect(found.get('web (read)')).toMatchObject({
    ok: false,
    mend: `ssh-copy-id -i ${keyFile}.pub -p ${place.port} ${user}@${place.address}`,
  });
});

test('a login that acts by sudo is asked what sudo allows, one without is not', async () => {
  await using host = await startSshHost();
  const { user, keyFile, ...place } = host.target;
  await examined({ ...place, act: { user, keyFile } });
  expect(host.received.some((line) => line.includes('sudo'))).toBe(false);
  await examined({ ...place, sudo: true, act: { user, keyFile } });
  expect(host.received.filter((line) => /\bsudo -n -l\b/.test(line))).toHaveLength(1);
});

test('where nothing runs it is said once how it is started', async () => {
  const bus = (await examined({ via: 'local' })).get('bus');
  expect(bus).toMatchObject({ ok: false, text: expect.stringMatching(/nothing runs with .*state"$/) as string });
  expect(bus?.mend).toBe('lares up');
});
