import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Folder, RunningCommand } from '../parts/command.ts';
import { startTelegram } from '../parts/telegram.ts';
import { until } from '../parts/until.ts';

/** Of Debian's `bsdutils`: runs a program on a terminal of its own. */
const script = '/usr/bin/script';
const main = join(import.meta.dirname, '../../agents/main.ts');

async function home() {
  const ending = new AsyncDisposableStack();
  const folder = ending.use(new Folder());
  const telegram = ending.use(await startTelegram());
  writeFileSync(join(folder.path, 'telegram.token'), telegram.token, { mode: 0o600 });
  const config = {
    http: { port: 0 },
    defaultChecks: false,
    hosts: { here: { via: 'local' } },
    telegram: { token: { file: 'telegram.token' }, apiRoot: telegram.apiRoot },
  };
  writeFileSync(join(folder.path, 'lares.yaml'), JSON.stringify(config));
  return { path: folder.path, [Symbol.asyncDispose]: () => ending.disposeAsync() };
}

test('where standard output is kept by others, as in a journal, no link that makes approvers stands in it', async () => {
  await using at = await home();
  await using lares = new RunningCommand(['up'], { cwd: at.path });
  await lares.says(/run "lares pair"/);
  expect(lares.stdout).not.toMatch(/t\.me|\/start /);
  await using other = await home();
  await using machine = new RunningCommand(['up', '--json'], { cwd: other.path });
  await machine.says(/"event":"nobody-paired"/);
  expect(machine.stdout).not.toMatch(/t\.me|\/start /);
});

test.skipIf(!existsSync(script))('at a terminal the link stands (needs /usr/bin/script)', async () => {
  await using at = await home();
  const command = `${process.execPath} ${main} up`;
  const child = spawn(script, ['-qec', command, '/dev/null'], { cwd: at.path, stdio: 'pipe', detached: true });
  let said = '';
  child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
  try {
    await until(() => said.includes('Pair your Telegram'), 'the link', 30_000);
    expect(said).toMatch(/Pair your Telegram.*(t\.me|\/start )/);
  } finally {
    const gone = once(child, 'close');
    child.kill('SIGTERM');
    await gone;
  }
});
