import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../parts/free-port.ts';
import { Lares } from '../parts/lares.ts';
import { until } from '../parts/until.ts';

const token = '00112233445566778899aabbccddeeff';

test('the doctor says of each door whether it is open, what came last and what was turned away; a person ends what is stuck', async () => {
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const secret = { token: { file: 'intake.token' } };
  await using lares = new Lares({
    http: { port },
    defaultChecks: false,
    digest: { enabled: false },
    terminal: false,
    triage: { groupWait: '1s' },
    hosts: { here: { via: 'local' }, nas: { address: '127.0.0.1', port: 1, onDemand: {} } },
    discovery: [{ source: 'homelable', file: 'topology.json' }],
    intake: { events: { kind: 'json', map: { title: 'what' } }, prom: { kind: 'alertmanager', ...secret } },
    checks: [
      { id: 'backup', kind: 'heartbeat', ping: 'backup', period: '1h', ...secret },
      { id: 'sync', kind: 'heartbeat', ping: 'sync', period: '1h' },
    ],
  });
  const doctor = async (): Promise<string[]> => (await lares.run('doctor')).stdout.split('\n');
  const about = (lines: string[], subject: string): string =>
    lines.filter((line) => line.includes(`  ${subject}  `)).join('\n');

  const missing = await doctor();
  expect(about(missing, 'intake prom')).toMatch(/^FAULT .*does not exist$/);
  expect(about(missing, 'heartbeat backup')).toMatch(/^FAULT .*does not exist$/);
  writeFileSync(join(lares.folder, 'intake.token'), `${token}\n`, { mode: 0o600 });
  expect((await doctor()).find((line) => line.includes('  door '))).toContain('does not answer');

  await lares.start();
  await fetch(`${address}/in/prom/api/v2/alerts`, {
    method: 'POST',
    body: '[]',
    headers: { authorization: 'Bearer x' },
  });
  await fetch(`${address}/in/events`, { method: 'POST', body: '{"what":"the cellar is wet"}' });
  await fetch(`${address}/ping/${token}`);
  await until(async () => about(await doctor(), 'source homelable') !== '', 'what discovery said', 20_000);
  const { stdout } = await lares.run('doctor', '--json');
  const { findings } = JSON.parse(stdout) as { findings: { subject: string; ok: boolean; text: string }[] };
  const said = Object.fromEntries(findings.map(({ subject, ok, text }) => [subject, `${ok} ${text}`]));
  expect(said).toMatchObject({
    nas: expect.stringMatching(/^true .*it may rest/) as string,
    'source homelable': expect.stringMatching(/^false .*it did not answer yet$/) as string,
    door: expect.stringMatching(/^true .*for this machine only/) as string,
    'intake events': expect.stringMatching(
      /^true json at .*\/in\/events; last .*: taken: 1 firing, 0 resolved, 1 open$/,
    ) as string,
    'intake prom': expect.stringMatching(
      /^false .*nothing came since .*1 complaint, last .*without the right token/,
    ) as string,
    'heartbeat backup': expect.stringMatching(/^true last success/) as string,
    'heartbeat sync': expect.stringMatching(/^false never came since/) as string,
  });
  expect(stdout).not.toContain(token);

  await until(async () => (await lares.run('incidents')).stdout.includes('cellar'), 'the incident', 20_000);
  const [id = ''] = (await lares.run('incidents')).stdout.split(' ');
  expect(await lares.run('resolve', id)).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^1 reported alert is over/) as string,
  });
  await until(async () => (await lares.run('incidents')).stdout === 'No open incidents.\n', 'its end', 20_000);
  expect(await lares.run('audit', 'verify')).toMatchObject({ status: 0 });
}, 120_000);
