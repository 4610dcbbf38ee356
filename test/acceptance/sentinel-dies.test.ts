import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Folder } from '../parts/command.ts';
import { Lares } from '../parts/lares.ts';
import { hasMosquitto, startMosquitto } from '../parts/mosquitto.ts';
import { type ChatMessage, startTelegram, type TelegramPart } from '../parts/telegram.ts';
import { until } from '../parts/until.ts';

if (!hasMosquitto && process.env['LARES_REQUIRE_PARTS'] === '1') throw new Error('Mosquitto is required');
const patienceMs = 60_000;

test.skipIf(!hasMosquitto)(
  `a sentinel that dies alone is told once, and once when it is back; what it found is kept${hasMosquitto ? '' : ' (SKIPPED: the package "mosquitto" is not installed)'}`,
  async () => {
    using shared = new Folder();
    await using telegram = await startTelegram();
    await using broker = await startMosquitto();
    await using site = await startSite();
    const anna = telegram.user(101, 'Anna');
    const config = configOf({ shared, telegram, site, url: broker.url });
    for (const [agent, password] of Object.entries(broker.credentials)) {
      writeFileSync(join(shared.path, `${agent}.password`), password, { mode: 0o600 });
    }
    await using triage = new Lares(config);
    await using remediation = new Lares(config);
    await using sentinel = new Lares(config);
    await triage.start('triage');
    await remediation.start('remediation');
    await sentinel.start('sentinel');
    const messages = (): ChatMessage[] => telegram.messages(anna.id);
    const saying = (text: string): ChatMessage[] => messages().filter((message) => message.text.includes(text));

    site.isWell = false;
    await until(() => saying('answered 503').length === 1, 'the card', patienceMs);
    const [card] = saying('answered 503');
    await sentinel.end('SIGKILL');
    // It gets well while nobody looks: that is nothing that anybody could know.
    site.isWell = true;
    await until(() => saying('"sentinel" is offline').length > 0, 'the notice', patienceMs);
    expect(saying('"sentinel" is offline')[0]?.text).toContain('nothing is being checked');
    expect(card?.text).toContain('\nfiring · ');
    const { stdout } = await triage.run('incidents', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ incidents: [{ state: 'open' }] });

    await sentinel.start('sentinel');
    await until(() => saying('"sentinel" is back').length > 0, 'the other notice', patienceMs);
    await until(() => card?.text.includes('\nresolved · ') === true, 'the end on the card', patienceMs);
    expect(saying('"sentinel" is offline')).toHaveLength(1);
    expect(saying('"sentinel" is back')).toHaveLength(1);
    expect(saying('"remediation" is offline')).toEqual([]);
    expect(messages().filter(({ text }) => / · critical · /.test(text))).toEqual([card]);
  },
  180_000,
);

interface Site extends AsyncDisposable {
  url: string;
  isWell: boolean;
}

async function startSite(): Promise<Site> {
  const server: Server = createServer((_, response) => response.writeHead(site.isWell ? 200 : 503).end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const site: Site = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    isWell: true,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return site;
}

/** Three processes with one state folder, as three services of one machine would be. */
function configOf(parts: { shared: Folder; telegram: TelegramPart; site: Site; url: string }): object {
  const { shared, telegram, site, url } = parts;
  const tokenFile = join(shared.path, 'telegram.token');
  const state = join(shared.path, 'state');
  mkdirSync(state, { mode: 0o700 });
  writeFileSync(tokenFile, telegram.token, { mode: 0o600 });
  return {
    state,
    defaultChecks: false,
    bus: { url, user: '{agent}', password: { file: join(shared.path, '{agent}.password') } },
    hosts: { here: { via: 'local' } },
    checks: [{ id: 'site', kind: 'http', host: 'here', url: site.url, every: '1s', for: '1s', clearAfter: 1 }],
    people: { approvers: [101] },
    telegram: { token: { file: tokenFile }, apiRoot: telegram.apiRoot, chat: 101 },
    triage: { groupWait: '1s' },
    digest: { enabled: false },
  };
}
