import { once } from 'node:events';
import { createServer } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Folder, runCommand, RunningCommand } from '../parts/command.ts';
import { freePort } from '../parts/free-port.ts';
import { until } from '../parts/until.ts';

/** Where health and metrics are without a configuration. */
const defaultPort = 9_477;
const checked = /^Checked (\d+) things on 1 host: .+\.$/m;

test.concurrent('with nothing but the program a machine is watched: few words, no alert, and the same again after Ctrl-C', async () => {
  using folder = new Folder();
  await until(() => isFree(defaultPort), `port ${defaultPort} to be free`, 60_000);
  const first = await watchFor(folder, 5_000);
  const introduction = first.stdout.slice(0, first.stdout.search(checked)).trimEnd().split('\n');
  expect(introduction.length).toBeLessThanOrEqual(5);
  expect(first.stdout).toContain(`http://127.0.0.1:${defaultPort}`);
  expect(first.metrics).toMatch(/^lares_\w+/m);
  expect(first.stdout).toMatch(/Stopped\.\n$/);

  const second = await watchFor(folder, 2_000);
  expect(second.stdout).toMatch(checked);
  expect(withoutNumbers(second.stdout)).toEqual(withoutNumbers(first.stdout));
});

test.concurrent('what could not be looked at is counted with the reason, and is not called well', async () => {
  using folder = new Folder();
  const closed = await freePort();
  const config = {
    http: { port: 0 },
    hosts: {
      here: { via: 'local' },
      nas: { address: '127.0.0.1', port: closed, read: { user: 'lares', keyFile: 'id' } },
    },
  };
  writeFileSync(join(folder.path, 'lares.yaml'), JSON.stringify(config));
  await using lares = new RunningCommand(['up'], { cwd: folder.path });
  await lares.says(/^Checked .*$/m);
  expect(lares.stdout).toMatch(/^Checked \d+ things on 2 hosts: .*could not check \d+ things because .+/m);
  lares.child.kill('SIGTERM');
  expect(await lares.ended()).toBe(0);
});

test.concurrent('a second copy on the same state is refused in words, and the first goes on', async () => {
  using folder = new Folder();
  writeFileSync(join(folder.path, 'lares.yaml'), 'http: { port: 0 }\nhosts: { here: { via: local } }\n');
  await using first = new RunningCommand(['up'], { cwd: folder.path });
  await first.says(/^Health and metrics/m);
  const second = await runCommand(['up'], { cwd: folder.path });
  expect(second.status).toBe(2);
  expect(second.stderr).toMatch(/^Cannot start: another Lares already uses the state folder ".+"\n$/);
  expect((await runCommand(['incidents'], { cwd: folder.path })).status).not.toBe(3);
  first.child.kill('SIGINT');
  expect(await first.ended()).toBe(0);
});

test.concurrent('a taken port is named, with the key that changes it', async () => {
  using folder = new Folder();
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as { port: number };
  writeFileSync(join(folder.path, 'lares.yaml'), `http: { port: ${port} }\nhosts: { here: { via: local } }\n`);
  const { status, stderr } = await runCommand(['up'], { cwd: folder.path });
  taken.close();
  expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining(`127.0.0.1:${port}`) as string });
  expect(stderr).toContain('http.port');
  expect(stderr.split('\n')).toHaveLength(2);
});

/** Runs until the first round is told and a while longer, looks at the metrics, and ends it with Ctrl-C. */
async function watchFor(folder: Folder, ms: number): Promise<{ stdout: string; metrics: string }> {
  await using lares = new RunningCommand(['up'], { cwd: folder.path });
  await lares.says(checked);
  // Nothing is waited for but time itself: an alert would have to come within it.
  const quietUntil = Date.now() + ms;
  await until(() => Date.now() > quietUntil, 'a quiet while');
  const metrics = await (await fetch(`http://127.0.0.1:${defaultPort}/metrics`)).text();
  const endedAt = Date.now();
  lares.child.kill('SIGINT');
  expect(await lares.ended()).toBe(0);
  expect(Date.now() - endedAt).toBeLessThan(10_000);
  expect(lares.stderr).toBe('');
  expect(lares.stdout).not.toMatch(/#1\b/);
  return { stdout: lares.stdout, metrics };
}

/** And without what was found: a machine may be busy at one moment and idle at the next. */
function withoutNumbers(text: string): string {
  return text.replace(checked, 'Checked').replaceAll(/\d+/g, 'N');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listening = once(server, 'listening').then(
    () => true,
    () => false,
  );
  server.listen(port, '127.0.0.1');
  const isListening = await listening;
  if (isListening) {
    server.close();
    await once(server, 'close');
  }
  return isListening;
}
