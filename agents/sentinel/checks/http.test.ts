import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { scrub } from '#bus/scrub.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { maximumBodyBytes } from '#agents/sentinel/probes/http-exchange.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { type Behaviour, startHttpTarget } from '../../../test/parts/http-target.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './http.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}/` }), { anyAnswer: true });

afterEach(closeHttpAgents);

function options(url: string, more: object = {}) {
  return check.options.parse({ url, ...more });
}

async function look(url: string, more: object = {}): Promise<Observation> {
  const [first] = await check.observe(options(url, more), checkContext());
  if (first === undefined) throw new Error('no observation');
  return first;
}

function down(summary: string | RegExp) {
  return {
    condition: 'http-down',
    reading: { is: 'state', ok: false, severity: 'critical' },
    summary: expect.stringMatching(summary),
  };
}

const up = { condition: 'http-down', reading: { is: 'state', ok: true } };

describe('each way to be down has its own words', () => {
  test.each<[string, Behaviour, RegExp]>([
    ['a status that is not wanted', { does: 'answer', status: 502 }, /answered 502 \(Bad Gateway\), not 200-299$/],
    ['a reset', { does: 'reset' }, /does not answer: the connection was reset$/],
    ['bytes that are not HTTP', { does: 'garbage' }, /does not answer: the answer is not HTTP$/],
    ['a body that breaks off', { does: 'truncate' }, /the answer broke off after 12 bytes \(status 200\)$/],
    ['a redirect loop', { does: 'loop' }, /does not answer: more than 5 redirects$/],
  ])('%s', async (_name, behaviour, words) => {
    await using target = await startHttpTarget({ behaviour });
    expect(await look(target.url)).toMatchObject(down(words));
  });

  test('a port where nobody listens', async () => {
    expect(await look(`http://127.0.0.1:${await freePort()}/`)).toMatchObject(down(/connection refused$/));
  });

  test('a name that does not exist', async () => {
    const observation = await look('http://does-not-exist.invalid/');
    // A machine without any resolver cannot know.
    expect(observation.summary).toMatch(/the name does not resolve$|this machine could not ask/);
  });

  test.each<[string, Behaviour, RegExp]>([
    ['silence after the request', { does: 'hang' }, /connected, but no answer within 1s$/],
    ['a body that never ends', { does: 'hang-in-body' }, /the answer did not end within 1s \(status 200\)$/],
  ])('%s', async (_name, behaviour, words) => {
    await using target = await startHttpTarget({ behaviour });
    expect(await look(target.url, { giveUpAfter: '1s' })).toMatchObject(down(words));
  });

  test('a time limit of the check that is shorter than its own patience', async () => {
    await using target = await startHttpTarget({ behaviour: { does: 'hang' } });
    const [first] = await check.observe(options(target.url), checkContext({ timeoutMs: 300 }));
    expect(first).toMatchObject(down(/no answer/));
  });
});

describe('what is well', () => {
  test('an answer of the wanted status, and its time', async () => {
    await using target = await startHttpTarget({ behaviour: { does: 'answer', status: 401 } });
    expect(await look(target.url, { status: ['2xx', 401] })).toMatchObject({
      ...up,
      summary: expect.stringMatching(/answered 401 \(Unauthorized\) in \d+ ms$/),
    });
  });

  test('a redirect that is itself wanted is not followed', async () => {
    await using target = await startHttpTarget({ behaviour: { does: 'loop' } });
    expect(await look(target.url, { status: [302] })).toMatchObject(up);
    expect(target.requests).toHaveLength(1);
  });

  test('a body without end is read to 1 MB and no further', async () => {
    await using target = await startHttpTarget({ behaviour: { does: 'huge' } });
    expect(await look(target.url)).toMatchObject(up);
    // What the kernel's buffers took on top of it.
    expect(target.sentBytes()).toBeLessThan(maximumBodyBytes + 16 * 1_048_576);
  });

  test('a kept connection that the server closed meanwhile is no outage', async () => {
    await using target = await startHttpTarget();
    expect(await look(target.url)).toMatchObject(up);
    target.dropConnections();
    expect(await look(target.url)).toMatchObject(up);
  });

  test('looks keep their connections: a second one is opened only while the first is still closing its exchange', async () => {
    await using target = await startHttpTarget();
    for (let count = 0; count < 5; count++) await look(target.url);
    expect(target.requests).toHaveLength(5);
    expect(target.connections()).toBeLessThanOrEqual(2);
  });
});

describe('expectations of the body', () => {
  const json = JSON.stringify({ status: 'ok', nodes: [{ up: 1 }, { up: null }] });

  test.each<[string, object, boolean]>([
    ['text that is there', { contains: '"ok"' }, true],
    ['text that is not there', { contains: 'green' }, false],
    ['a pattern that matches', { matches: '"up":\\d' }, true],
    ['a pattern that must not match', { matchesNot: 'null' }, false],
    ['a JSON value', { json: [{ path: 'nodes[0].up', equals: 1 }] }, true],
    ['a JSON value of another type', { json: [{ path: 'nodes[0].up', equals: '1' }] }, false],
    ['a JSON null', { json: [{ path: 'nodes.1.up', equals: null }] }, true],
    ['a member of the prototype', { json: [{ path: 'constructor.name', equals: 'Object' }] }, false],
    ['one of several JSON values', { json: [{ path: 'status', oneOf: ['ok', 'degraded'] }] }, true],
    ['none of several', { json: [{ path: 'status', oneOf: ['green', 1] }] }, false],
    ['a JSON value that is there, if null', { json: [{ path: 'nodes[1].up', exists: true }] }, true],
    ['one that is absent as wanted', { json: [{ path: 'error', exists: false }] }, true],
    ['one that is there and must not be', { json: [{ path: 'status', exists: false }] }, false],
    ['a JSON text that matches', { json: [{ path: 'status', matches: '^o' }] }, true],
    ['an object that is no text', { json: [{ path: 'nodes', matches: 'o' }] }, false],
    ['numbers between limits', { json: [{ path: 'nodes[0].up', above: 0, below: 2 }] }, true],
    ['a number at its limit', { json: [{ path: 'nodes[0].up', above: 1 }] }, false],
    ['a text that is no number', { json: [{ path: 'status', below: 5 }] }, false],
    ['a list with enough members', { json: [{ path: 'nodes', atLeast: 2, atMost: 2 }] }, true],
    ['one with too few', { json: [{ path: 'nodes', atLeast: 3 }] }, false],
    ['a number, which has no members', { json: [{ path: 'nodes[0].up', atMost: 3 }] }, false],
    ['a header that is there', { header: [{ name: 'X-Node' }] }, true],
    ['a header that matches, whatever its case', { header: [{ name: 'x-NODE', matches: '^pve\\d$' }] }, true],
    ['a header with another value', { header: [{ name: 'x-node', matches: '^nas' }] }, false],
    ['a header that is missing', { header: [{ name: 'strict-transport-security' }] }, false],
    ['a header that must not be there', { header: [{ name: 'x-node', absent: true }] }, false],
    ['a content type', { contentType: 'application/json' }, true],
    ['another content type', { contentType: 'text/html' }, false],
  ])('%s', async (_name, expected, ok) => {
    await using target = await startHttpTarget({
      behaviour: { does: 'answer', body: json, type: 'application/json', headers: { 'x-node': 'pve1' } },
    });
    expect((await look(target.url, expected)).reading).toMatchObject({ is: 'state', ok });
  });

  test('what asks for a login is alive where that is enough, and only with that status', async () => {
    await using target = await startHttpTarget({ behaviour: { does: 'answer', status: 403, body: 'Forbidden' } });
    const asked = { alsoAlive: [401, 403], contains: 'Dashboard' };
    expect(await look(target.url, asked)).toMatchObject(up);
    target.behaviour = { does: 'answer', status: 404 };
    expect(await look(target.url, asked)).toMatchObject(down(/answered 404/));
    target.behaviour = { does: 'answer', body: 'Welcome' };
    expect(await look(target.url, asked)).toMatchObject(down(/lacks "Dashboard"/));
  });

  test('a rule about a JSON value has to say what is wanted', () => {
    expect(check.options.safeParse({ url: 'http://host/', json: [{ path: 'a' }] }).success).toBe(false);
  });

  test('hostile text stays one short line', async () => {
    const body = `\u001b[31m<script>alert(1)</script>\n${'x'.repeat(10_000)}`;
    await using target = await startHttpTarget({ behaviour: { does: 'answer', body } });
    const { summary } = await look(target.url, { json: [{ path: 'a', equals: 1 }] });
    expect(summary).toContain('the body is not JSON: "[31m<script>');
    expect(summary.length).toBeLessThan(300);
    // oxlint-disable-next-line no-control-regex -- none must be left
    expect(summary).not.toMatch(/[\u0000-\u001f]/);
  });
});

describe('requests', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lares-http-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const token = 'planted-5ecret-value';
  writeFileSync(join(folder, 'token'), `Bearer ${token}\n`, { mode: 0o600 });

  test('a secret header reaches its host and no other, and what another answers is said to be its own', async () => {
    await using other = await startHttpTarget();
    await using target = await startHttpTarget({
      behaviour: { does: 'answer', status: 302, headers: { location: `${other.url}/landed?x=1` } },
    });
    const context = checkContext({ baseFolder: folder });
    const [first] = await check.observe(
      options(target.url, { headersFrom: { authorization: { file: 'token' } } }),
      context,
    );
    // A login in front of a service answers for it, whether or not it is alive.
    expect(first).toMatchObject({ ...up, summary: expect.stringContaining(` at 127.0.0.1:${other.port} in `) });
    expect(target.requests[0]?.headers.authorization).toBe(`Bearer ${token}`);
    expect(other.requests[0]).toMatchObject({ path: '/landed?x=1' });
    expect(other.requests[0]?.headers.authorization).toBeUndefined();
    expect(JSON.stringify(first)).not.toContain(token);
  });

  test.each<[string, object, string]>([
    ['a bearer token', { token: { file: 'password' } }, `Bearer ${token}`],
    [
      'a name and a password',
      { user: 'me', password: { file: 'password' } },
      `Basic ${Buffer.from(`me:${token}`).toString('base64')}`,
    ],
  ])('%s is sent to its host, to no other, and shown nowhere', async (_what, login, sent) => {
    writeFileSync(join(folder, 'password'), `${token}\n`, { mode: 0o600 });
    await using other = await startHttpTarget();
    await using target = await startHttpTarget({
      behaviour: { does: 'answer', status: 302, headers: { location: other.url } },
    });
    const context = checkContext({ baseFolder: folder });
    const found = await check.observe(options(target.url, login), context);
    expect(found[0]).toMatchObject(up);
    expect(target.requests[0]?.headers.authorization).toBe(sent);
    expect(other.requests[0]?.headers.authorization).toBeUndefined();
    expect(JSON.stringify(found)).not.toContain(token);
    expect(scrub(`echo of ${sent}`)).not.toContain(sent.split(' ')[1]);
  });

  test('a secret that is missing is unknown, not down', async () => {
    await using target = await startHttpTarget();
    const observation = await look(target.url, { headersFrom: { authorization: { file: '/nowhere/token' } } });
    expect(observation.reading).toMatchObject({ is: 'unknown', reason: expect.stringContaining('/nowhere/token') });
    expect(target.requests).toHaveLength(0);
  });

  test('a query, which may hold a token, is not shown', async () => {
    await using target = await startHttpTarget({ behaviour: { does: 'answer', status: 500 } });
    const observation = await look(`${target.url}/health?token=${token}`);
    expect(target.requests[0]?.path).toBe(`/health?token=${token}`);
    expect(JSON.stringify(observation)).not.toContain(token);
  });

  test('a POST is sent once, whatever happens to it', async () => {
    await using target = await startHttpTarget({ behaviour: { does: 'reset' } });
    await look(target.url, { method: 'POST', body: 'x=1' });
    expect(target.requests).toMatchObject([{ method: 'POST', body: 'x=1' }]);
  });

  test('an address with a password is refused', () => {
    expect(check.options.safeParse({ url: 'http://a:b@host/' }).success).toBe(false);
    expect(check.options.safeParse({ url: 'ftp://host/' }).success).toBe(false);
  });

  test('a look that is called off ends at once', async () => {
    await using target = await startHttpTarget({ behaviour: { does: 'hang' } });
    const stopping = new AbortController();
    const looking = check.observe(options(target.url), checkContext({ signal: stopping.signal }));
    stopping.abort(new Error('stopped'));
    await expect(looking).rejects.toThrow('stopped');
  });
});

test('slowness is a level of its own, and none while the answer is wrong', async () => {
  await using target = await startHttpTarget({ behaviour: { does: 'slow', ms: 60 } });
  const slow = options(target.url, { slowAfter: '50ms', verySlowAfter: '1h' });
  expect(await check.observe(slow, checkContext())).toMatchObject([
    up,
    { condition: 'http-slow', reading: { is: 'level', warning: { trigger: 50, clear: 40 } } },
  ]);
  target.behaviour = { does: 'answer', status: 500 };
  expect(await check.observe(slow, checkContext())).toHaveLength(1);
});

test('evidence of a closed port has a second look and what else answers there', async () => {
  const port = await freePort();
  const asked = options(`http://127.0.0.1:${port}/`);
  const context = checkContext();
  const [first] = await check.observe(asked, context);
  const evidence = (first && (await check.evidence.gather(asked, context, first))) ?? [];
  expect(evidence.map(({ title }) => title)).toEqual([
    `A second look at http://127.0.0.1:${port}/`,
    'What else answers at 127.0.0.1',
  ]);
  expect(evidence[1]?.lines).toContain(`port ${port}: connection refused`);
});

test('evidence shows the answer, bounded and in one piece', async () => {
  await using target = await startHttpTarget({
    behaviour: { does: 'answer', status: 503, body: `upstream down\n${'y'.repeat(10_000)}\n`.repeat(100) },
  });
  const context = checkContext();
  const asked = options(target.url);
  const [first] = await check.observe(asked, context);
  const evidence = (first && (await check.evidence.gather(asked, context, first))) ?? [];
  expect(evidence.map(({ title }) => title)).toEqual([expect.stringContaining('Answer of'), 'Its first lines']);
  expect(evidence[0]?.lines[0]).toBe('503 (Service Unavailable)');
  expect(evidence[1]?.lines[0]).toBe('upstream down');
  for (const line of evidence.flatMap(({ lines }) => lines)) expect(line.length).toBeLessThanOrEqual(600);
});
