import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { describeWith } from '../parts/daemon.ts';
import { freePort } from '../parts/free-port.ts';
import { PlainMosquitto } from '../parts/plain-mosquitto.ts';
import { watchPreset } from '../parts/preset-look.ts';
import { problems } from '../parts/problems.ts';
import { until } from '../parts/until.ts';

let folder = '';
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'lares-preset-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A process that goes by this command line. */
function running(commandLine: string): ChildProcess {
  return spawn('sleep', ['60'], { argv0: commandLine, stdio: 'ignore' });
}

test('Hermes is looked for by its process: one that only asks for the status is none, two pollers are too many', async () => {
  const asking = running('/root/.hermes/bin/hermes gateway status');
  const gateway = running('python3 -m hermes_cli.main gateway run');
  const second = running('python3 -m hermes_cli.main --profile two gateway run --replace');
  try {
    const hermes = await watchPreset({ preset: 'hermes' });
    await until(async () => problems(await hermes.look()).length > 0, 'both gateways');
    expect(problems(await hermes.look())).toEqual([expect.stringMatching(/^warning process-too-many: 2 of .* run/)]);
    second.kill();
    await once(second, 'exit');
    expect(problems(await hermes.look())).toEqual([]);
    gateway.kill();
    await once(gateway, 'exit');
    expect(problems(await hermes.look())).toEqual([expect.stringMatching(/^critical process-missing: 0 of .* run/)]);
  } finally {
    for (const child of [asking, gateway, second]) child.kill('SIGKILL');
  }
});

test('a secret of git-crypt that is locked is told without its content', async () => {
  const file = join(folder, 'domains.nix');
  const secrets = await watchPreset({ preset: 'git-crypt', file });
  writeFileSync(file, '{ domain = "example.org"; }\n');
  expect(problems(await secrets.look())).toEqual([]);
  writeFileSync(file, Buffer.concat([Buffer.from('\0GITCRYPT\0'), Buffer.from('9f1c7e', 'hex')]));
  expect(problems(await secrets.look())).toEqual([expect.stringMatching(/^critical|^warning/)]);
});

test('a copy of the night that is a day late is a warning, two days critical, an empty one critical at once', async () => {
  const file = join(folder, 'config-2026.tar.age');
  const copies = await watchPreset({ preset: 'backup-files', path: join(folder, 'config-*.tar.age'), sizeAtLeast: 4 });
  const severityAt = async (hours: number): Promise<string[]> => {
    const at = Date.now() / 1_000 - hours * 3_600;
    utimesSync(file, at, at);
    const old = (await copies.look()).find(({ condition }) => condition === 'file-old');
    if (old?.reading.is !== 'level') throw new Error('its age was not told');
    const { value, warning, critical } = old.reading;
    return [
      ...(value > (warning?.trigger ?? Infinity) ? ['warning'] : []),
      ...(value > (critical?.trigger ?? Infinity) ? ['critical'] : []),
    ];
  };
  writeFileSync(file, 'age-encryption.org/v1');
  expect(await severityAt(25)).toEqual([]);
  expect(await severityAt(27)).toEqual(['warning']);
  expect(await severityAt(49)).toEqual(['warning', 'critical']);
  writeFileSync(file, '');
  expect(problems(await copies.look())).toEqual([expect.stringMatching(/^critical .*at least/)]);
});

describeWith(['msmtp'], 'msmtp', () => {
  test('a mail that it could not hand over is told, from the first look on', async () => {
    const file = join(folder, 'msmtp.log');
    writeFileSync(
      file,
      "Nov 14 02:43:42 host=127.0.0.1 tls=off auth=off from=a@b.invalid recipients=c@d.invalid mailsize=9 smtpstatus=250 smtpmsg='250 OK' exitcode=EX_OK\n",
    );
    const mail = await watchPreset({ preset: 'msmtp', file });
    expect(problems(await mail.look())).toEqual([]);
    const port = await freePort();
    const args = ['--host=127.0.0.1', `--port=${port}`, '--from=a@b.invalid', `--logfile=${file}`, 'c@d.invalid'];
    const sending = execFile('msmtp', args, () => undefined);
    sending.stdin?.end('Subject: update failed\n\nbody\n');
    await once(sending, 'exit');
    expect(problems(await mail.look())).toEqual([expect.stringMatching(/^warning .*1 line/)]);
  });
});

describeWith(['mosquitto'], 'Zigbee2MQTT', () => {
  test('is well while its retained state says online', async () => {
    await using broker = await PlainMosquitto.start();
    const client = await mqtt.connectAsync(broker.url);
    const looking = new AbortController();
    const bridge = await watchPreset({ preset: 'zigbee2mqtt', broker: broker.url }, { lasting: looking.signal });
    const say = (state: string) =>
      client.publishAsync('zigbee2mqtt/bridge/state', JSON.stringify({ state }), { retain: true, qos: 1 });
    await say('online');
    await until(async () => problems(await bridge.look()).length === 0, 'the bridge online');
    await say('offline');
    await until(async () => problems(await bridge.look()).length > 0, 'the bridge offline');
    expect(problems(await bridge.look())).toEqual([
      'warning topic-value: state of zigbee2mqtt/bridge/state is offline, not online',
    ]);
    looking.abort();
    await client.endAsync();
  });
});
