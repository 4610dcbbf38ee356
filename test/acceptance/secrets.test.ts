import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { expect, test } from 'vitest';
import { ok, startAnthropic } from '../parts/llm.ts';
import { patienceMs } from './play.ts';
import { ownPlaybook } from './playbooks.ts';
import { story } from './stage.ts';

const body = (): string => randomBytes(48).toString('base64');
const word = (): string => randomBytes(9).toString('hex');

/** Every message on the bus, as the console may read it. */
async function overhear(folder: string): Promise<{ text: () => string; end: () => void }> {
  const { url } = JSON.parse(readFileSync(join(folder, 'state/bus.json'), 'utf8')) as { url: string };
  const password = readFileSync(join(folder, 'state/keys/bus-console.secret'), 'utf8').trim();
  const clientId = 'lares-home-console-ear';
  const client = await mqtt.connectAsync(url, { username: 'console', password, clientId, protocolVersion: 4 });
  const heard: string[] = [];
  client.on('message', (topic, payload) => heard.push(`${topic} ${payload.toString()}`));
  await client.subscribeAsync('lares/home/#', { qos: 1 });
  return { text: () => heard.join('\n'), end: () => client.end(true) };
}

story('secrets that stand in logs, outputs and key files', (stage) => {
  test('reach no bus, no prompt, no chat and no log of Lares', async () => {
    await using llm = await startAnthropic();
    const apiKey = `sk-ant-${word()}${word()}`;
    const [password, bearer, inUrl] = [word(), word(), word()];
    const key = [body(), body(), body()];
    llm.otherwise(
      ok({ cause: 'The shop was killed.', confidence: 0.9, evidence: [1], playbook: null, parameters: [] }),
    );
    await using play = await stage.play({
      command: 'cat /srv/leak.txt; exec sleep infinity',
      config: {
        logLevel: 'debug',
        remediation: { playbooks: 'own' },
        llm: {
          providers: [
            { name: 'cloud', kind: 'anthropic', model: 'm', baseUrl: llm.url, apiKey: { file: 'key' }, sees: 'cloud' },
          ],
        },
      },
    });
    const leak = [
      `DB_PASSWORD=${password}`,
      `GET /x Authorization: Bearer ${bearer}`,
      `cannot reach postgres://shop:${inUrl}@db/shop`,
      `bot ${play.telegram.token} says hello, and so does ${apiKey}`,
      '-----BEGIN OPENSSH PRIVATE KEY-----',
      ...key,
      '-----END OPENSSH PRIVATE KEY-----',
      'that was all',
    ];
    await play.host.run(`cat > /srv/leak.txt <<'END'\n${leak.join('\n')}\nEND\nsystemctl restart ${play.unit}`);
    mkdirSync(join(play.lares.folder, 'own'));
    const command = ['sh', '-c', 'cat /srv/leak.txt; echo "step of $1 failed"; exit 3', 'lares', '{unit}'];
    writeFileSync(join(play.lares.folder, 'own/leaky.yaml'), ownPlaybook({ id: 'leaky', command }));
    writeFileSync(join(play.lares.folder, 'key'), apiKey, { mode: 0o600 });
    await play.start();
    const bus = await overhear(play.lares.folder);
    await play.breakUnit();
    const card = await play.proposal();
    await play.says(card, /The shop was killed/);
    await play.approve(card).answered;
    await play.says(card, /act: failed/, patienceMs);
    await play.delivered();
    const places = {
      bus: bus.text(),
      prompts: llm.requests.map(({ prompt }) => prompt).join('\n'),
      chat: play.chat(),
      log: play.lares.output,
    };
    bus.end();
    const secrets = {
      password,
      bearer,
      inUrl,
      token: play.telegram.token,
      apiKey,
      ...Object.fromEntries(key.entries()),
    };
    // What is no secret was read and told: the silence about the rest is no accident.
    for (const place of ['bus', 'prompts'] as const) expect(places[place]).toContain('that was all');
    expect(places.bus).toContain(`step of ${play.unit} failed`);
    const found = Object.entries(places).flatMap(([place, text]) =>
      Object.entries(secrets).flatMap(([name, secret]) => (text.includes(secret) ? [`${name} in the ${place}`] : [])),
    );
    expect(found).toEqual([]);
  }, 240_000);
});
