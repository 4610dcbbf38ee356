import { execFile } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { Folder, runCommand, RunningCommand } from '../parts/command.ts';

const root = join(import.meta.dirname, '../..');
/** The Node of the distribution, which is what a person types. */
const systemNode = ['/usr/bin/node', '/usr/local/bin/node'].find(existsSync);
const commands = [
  'up sentinel triage remediation demo doctor check plan run incidents resolve digest audit pair freeze unfreeze release unblock presets validate init import inventory',
].flatMap((names) => names.split(' '));

test('every command that there is explains itself and speaks JSON', async () => {
  using folder = new Folder();
  const { stdout } = await runCommand(['--help'], { cwd: folder.path });
  const listed = [...stdout.matchAll(/^ {2}([a-z]+)(?= \[options\])/gm)].map(([, name = '']) => name);
  expect(listed.toSorted()).toEqual(commands.toSorted());
  expect(stdout).toMatch(/^Exit status:\n {2}0 +well\n {2}1 +something is wrong in what was looked at\n/m);
  const helps = await Promise.all(commands.map((name) => runCommand([name, '--help'], { cwd: folder.path })));
  for (const help of helps) {
    expect(help).toMatchObject({ status: 0, stderr: '' });
    expect(help.stdout).toMatch(/^Usage: lares \w+ \[options\]/);
    expect(help.stdout).toMatch(/^ {2}--json +print JSON/m);
  }
});

test('what cannot be used ends with 2, what does not answer with 3, and both say so in one JSON object', async () => {
  using folder = new Folder();
  writeFileSync(join(folder.path, 'lares.yaml'), 'hosts: { here: { via: local } }\n');
  const at = { cwd: folder.path };
  const unusable = [['nonsense'], ['check', '--nonsense'], ['run'], ['check', 'nope'], ['audit', 'nonsense'], ['pair']];
  for (const argv of unusable) {
    const { status, stderr } = await runCommand(argv, at);
    expect({ argv, status, said: stderr !== '' }).toEqual({ argv, status: 2, said: true });
  }
  for (const argv of [
    ['incidents'],
    ['digest'],
    ['freeze'],
    ['unfreeze'],
    ['plan', 'reload-nginx', '--host', 'here'],
  ]) {
    const [text, json] = await Promise.all([runCommand(argv, at), runCommand([...argv, '--json'], at)]);
    expect({ argv, status: text.status }).toEqual({ argv, status: 3 });
    expect(text.stderr).toContain('start it with "lares up"');
    expect(json.status).toBe(3);
    expect(JSON.parse(json.stdout)).toEqual({ error: text.stderr.trimEnd() });
  }
});

test('beside a running Lares each command answers as text and as JSON, and its status says how things are', async () => {
  using folder = new Folder();
  const at = { cwd: folder.path };
  await using site = await startSite();
  const check = { id: 'site', kind: 'http', host: 'here', url: site.url, every: '1s', for: '1s', clearAfter: 1 };
  const config = {
    http: { port: 0 },
    defaultChecks: false,
    hosts: { here: { via: 'local' } },
    checks: [check],
    triage: { groupWait: '1s' },
  };
  writeFileSync(join(folder.path, 'lares.yaml'), JSON.stringify(config));
  await using lares = new RunningCommand(['up', '--json'], at);
  await lares.says(/"event":"first-round"/);
  expect(
    lares.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as unknown),
  ).toMatchObject([
    { event: 'started', hosts: 1, members: ['triage', 'remediation', 'sentinel'] },
    { event: 'first-round' },
  ]);
  const json = async (argv: string[]): Promise<{ status: number; value: unknown }> => {
    const { status, stdout } = await runCommand([...argv, '--json'], at);
    return { status, value: JSON.parse(stdout) as unknown };
  };

  expect(await json(['incidents'])).toEqual({ status: 0, value: { incidents: [] } });
  expect(await json(['check'])).toMatchObject({ status: 0, value: { observations: [{ check: 'site', state: 'ok' }] } });
  expect(await json(['check', 'site'])).toMatchObject({ status: 0 });
  expect(await json(['validate'])).toMatchObject({ status: 0, value: { ok: true, hosts: 1, checks: 1 } });
  expect(await json(['plan'])).toMatchObject({
    status: 0,
    value: { watch: [{ id: 'site', everyMs: 1_000 }], ask: [] },
  });
  expect(await json(['digest'])).toMatchObject({
    status: 0,
    value: { text: expect.stringContaining('digest') as string },
  });
  expect(await json(['audit', 'verify'])).toMatchObject({ status: 0 });
  expect(await json(['doctor'])).toMatchObject({ status: 0 });
  expect(await json(['freeze', '--reason', 'a test'])).toMatchObject({ value: { frozen: true, reason: 'a test' } });
  expect(await json(['unfreeze'])).toMatchObject({ status: 0, value: { frozen: false } });
  expect(await json(['plan', 'reload-nginx', '--host', 'here'])).toMatchObject({
    status: 1,
    value: { status: 'refused' },
  });

  site.isWell = false;
  await expect.poll(async () => (await json(['incidents'])).status, { timeout: 20_000, interval: 300 }).toBe(1);
  const { value } = await json(['incidents']);
  const [incident] = (value as { incidents: { id: string; title: string }[] }).incidents;
  expect(incident?.title).toContain('503');
  const one = await runCommand(['incidents', incident?.id ?? ''], at);
  expect(one).toMatchObject({ status: 1, stdout: expect.stringContaining('alone: ') as string });
  expect(await json(['incidents', incident?.id ?? ''])).toMatchObject({ status: 1, value: { id: incident?.id } });
  expect(await json(['check'])).toMatchObject({ status: 1, value: { observations: [{ state: 'critical' }] } });
  expect(await runCommand(['incidents', 'nope'], at)).toMatchObject({ status: 2 });
});

test.skipIf(systemNode === undefined)('npx lares and the launcher work with the Node of the distribution', async () => {
  using folder = new Folder();
  const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const run = promisify(execFile);
  const env = { ...process.env, PATH, NODE_OPTIONS: '' };
  const launched = await run(systemNode ?? '', [join(root, 'agents/launch.cjs'), 'validate', '--json'], {
    cwd: folder.path,
    env,
  });
  expect(JSON.parse(launched.stdout)).toMatchObject({ ok: true, file: null, hosts: 1 });
  const npx = await run('npx', ['lares', '--version'], { cwd: root, env });
  expect(npx.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  // The status comes through the launcher too.
  await expect(
    run(systemNode ?? '', [join(root, 'agents/launch.cjs'), 'incidents'], { cwd: folder.path, env }),
  ).rejects.toMatchObject({ code: 3 });
});

async function startSite(): Promise<{ url: string; isWell: boolean } & AsyncDisposable> {
  const site = { url: '', isWell: true, [Symbol.asyncDispose]: (): Promise<void> => Promise.resolve() };
  const server = createServer((_, response) => response.writeHead(site.isWell ? 200 : 503).end('shop'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  site.url = `http://127.0.0.1:${port}/`;
  site[Symbol.asyncDispose] = async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  return site;
}
