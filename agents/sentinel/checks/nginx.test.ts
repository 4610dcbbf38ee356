import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { answersAt, type Daemon, describeWith, startDaemon } from '../../../test/parts/daemon.ts';
import { startFakeApi } from '../../../test/parts/fake-api.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { check } from './nginx.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

afterEach(closeHttpAgents);

/** As nginx 1.22 answers. */
const body = (active: number, accepts: number, handled: number): string =>
  `Active connections: ${active} \nserver accepts handled requests\n ${accepts} ${handled} 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n`;

describe('stub_status', () => {
  test('of a server with many connections is a level where limits are set', async () => {
    await using api = await startFakeApi(() => ({ body: body(900, 10, 10) }));
    const look = (limits: object): Promise<Observation[]> =>
      check.observe(check.options.parse({ url: api.url, ...limits }), checkContext());
    expect(problems(await look({}))).toEqual([]);
    expect(problems(await look({ connections: { warning: 800 } }))).toEqual([
      'warning connections-high: nginx has 900 connections, 106 of them idle',
    ]);
  });

  test('that drops connections is a warning while it does, a restart is none', async () => {
    let said = body(10, 500, 490);
    await using api = await startFakeApi(() => ({ body: said }));
    const clock = createVirtualClock(0);
    const context = checkContext({ clock });
    const look = async (): Promise<string[]> => {
      const found = await check.observe(check.options.parse({ url: api.url }), context);
      await clock.advance(60_000);
      return problems(found);
    };
    expect(await look()).toEqual([]);
    said = body(10, 600, 575);
    expect(await look()).toEqual([
      'warning connections-dropped: nginx drops 15.0 connections a minute: worker_connections or open files are used up',
    ]);
    said = body(1, 3, 3);
    expect(await look()).toEqual([]);
  });

  test('that is another page is unknown', async () => {
    await using api = await startFakeApi(() => ({ body: '<html>Welcome to nginx!</html>' }));
    expect(problems(await check.observe(check.options.parse({ url: api.url }), checkContext()))).toEqual([
      expect.stringContaining('what stands at /nginx_status is not stub_status'),
    ]);
  });
});

describeWith(['nginx'], 'nginx of Debian', () => {
  test('tells its connections, and is down when it is stopped', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lares-nginx-'));
    mkdirSync(join(folder, 'logs'));
    const port = await freePort();
    writeFileSync(
      join(folder, 'nginx.conf'),
      `daemon off; pid ${folder}/pid; error_log stderr;
events {} http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
server { listen 127.0.0.1:${port}; location = /nginx_status { stub_status; } } }`,
    );
    const url = `http://127.0.0.1:${port}`;
    const options = check.options.parse({ url });
    try {
      const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'];
      await using nginx: Daemon = await startDaemon({ program: 'nginx', args, isReady: () => answersAt(url) });
      const found = await check.observe(options, checkContext());
      expect(problems(found)).toEqual([]);
      expect(found.map(({ condition }) => condition)).toEqual([
        'nginx-down',
        'connections-high',
        'connections-dropped',
      ]);
      await nginx.kill();
      expect(problems(await check.observe(options, checkContext()))).toEqual([
        // Refused, or reset where the connection that was kept is not yet known to be gone.
        expect.stringMatching(/^critical nginx-down: nginx does not answer: /),
      ]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
