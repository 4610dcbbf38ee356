import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigFailure, formatFaults } from './fault.ts';
import { findConfig, loadConfig } from './load.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lares-config-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(text: string, name = 'lares.yaml'): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** Every fault as a person reads it, without the folder. */
async function faultsOf(text: string): Promise<string[]> {
  const file = write(text);
  const failure = await loadConfig(file).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (failure === undefined) return [];
  expect(failure).toBeInstanceOf(ConfigFailure);
  return formatFaults(failure as ConfigFailure)
    .replaceAll(`${folder}/`, '')
    .split('\n');
}

const hosts = 'hosts:\n  pve: { via: local }\n';

describe('without a file', () => {
  test('this machine is watched, by its own name', async () => {
    const loaded = await loadConfig(undefined);
    const [name = ''] = Object.keys(loaded.config.hosts);
    expect(loaded.config.hosts[name]?.via).toBe('local');
    expect(hostname().startsWith(name.slice(0, 1))).toBe(true);
    expect(loaded.file).toBeUndefined();
  });

  test('the file of the environment comes first, then the one in the folder', () => {
    const other = write('', 'other.yaml');
    expect(findConfig({ LARES_CONFIG: other }, folder)).toBe(other);
    const here = write('');
    expect(findConfig({}, folder)).toBe(here);
    expect(findConfig({ LARES_CONFIG: 'missing.yaml' }, folder)).toBe(join(folder, 'missing.yaml'));
  });
});

describe('a file that is well', () => {
  test('gives values with their defaults, durations in milliseconds, and absolute paths', async () => {
    const file = write(`
site: test
state: ../state
hosts:
  pve: { via: local }
  web: { on: pve, read: { user: lares, keyFile: keys/read }, hostKeys: [] }
services:
  shop: { on: web, dependsOn: [pve] }
checks:
  - id: shop
    kind: http
    service: shop
    every: 1m30s
    url: https://shop.example.org/
telegram: { token: { file: ~/token } }
`);
    const { config, baseFolder, file: path, warnings } = await loadConfig(file);
    expect([path, baseFolder]).toEqual([file, folder]);
    expect(config.state).toBe(join(folder, '../state'));
    expect(config.hosts['web']?.read?.keyFile).toBe(join(folder, 'keys/read'));
    expect(config.telegram?.token.file).toMatch(/^\/.*\/token$/);
    expect(config.checks[0]).toMatchObject({ every: 90_000, options: { url: 'https://shop.example.org/' } });
    expect(warnings.map(({ path: at }) => at.join('.'))).toEqual(['hosts.web']);
  });

  test('is found again by path, down to the key', async () => {
    const { locate } = await loadConfig(write(`${hosts}checks:\n  - id: a\n    kind: tcp\n    address: pve\n`));
    expect(locate(['checks', 0, 'address'])).toEqual({ line: 6, column: 5 });
    expect(locate(['checks', 0, 'port'])).toEqual({ line: 4, column: 5 });
    expect(locate(['telegram', 'token'])).toEqual({ line: 1, column: 1 });
  });

  test('that is empty is a configuration with nothing to watch', async () => {
    expect((await loadConfig(write('# nothing yet\n'))).config.hosts).toEqual({});
  });

  test('may use anchors and merge keys', async () => {
    const text = 'hosts:\n  a: &base { via: local, sudo: true }\n  b: { <<: *base, on: a }\n';
    expect((await loadConfig(write(text))).config.hosts['b']).toMatchObject({ sudo: true, on: 'a' });
  });

  test('keeps words that YAML 1.1 took for booleans', async () => {
    expect((await loadConfig(write('site: no\n'))).config.site).toBe('no');
  });
});

test('all faults are told at once, each at its line and with its path', async () => {
  const faults = await faultsOf(`site: home
hosts:
  pve: { via: local, hostKeyz: [] }
  web: { on: pv, port: x }
services:
  shop: { on: web, dependsOn: [datbase] }
checks:
  - id: one
    kind: tcp
    every: 5
  - id: two
    kind: tcp
    host: wbe
    window: { failures: 3, of: 2 }
loglevel: debug
`);
  expect(faults).toEqual([
    'lares.yaml:3:22 hosts.pve.hostKeyz: is not a key of this place (did you mean "hostKeys"?)',
    'lares.yaml:4:10 hosts.web.on: names nothing in this configuration: "pv" (did you mean "pve"?)',
    'lares.yaml:4:18 hosts.web.port: must be number, not string',
    'lares.yaml:6:32 services.shop.dependsOn[0]: names nothing in this configuration: "datbase"',
    'lares.yaml:10:5 checks[0].every: must be a duration such as 30s, 5m, 2h or 1h30m',
    'lares.yaml:13:5 checks[1].host: names nothing in this configuration: "wbe" (did you mean "web"?)',
    'lares.yaml:14:15 checks[1].window.failures: must not be more than window.of, 2',
    'lares.yaml:15:1 loglevel: is not a key of this place (did you mean "logLevel"?)',
  ]);
});

describe('a fault of its own', () => {
  const check = (lines: string): string => `${hosts}checks:\n  - { id: a, kind: tcp, ${lines} }\n`;
  test.each([
    ['a host on an unknown one', 'hosts: { a: { via: local, on: b } }', /hosts\.a\.on: names nothing/],
    [
      'a loop of hosts',
      'hosts: { a: { on: b }, b: { on: c }, c: { on: a } }',
      /hosts\.a\.on: runs on itself: a -> b -> c -> a$/,
    ],
    ['a host on itself', 'hosts: { a: { on: a } }', /runs on itself: a -> a$/],
    ['a thing that needs itself', 'hosts: { a: { dependsOn: [a] } }', /hosts\.a\.dependsOn\[0\]: depends on itself/],
    ['a name of two', `${hosts}services: { pve: { on: pve } }`, /services\.pve: is also the name of a host: "pve"/],
    [
      'a check id of two',
      `${hosts}checks: [{ id: a, kind: x }, { id: a, kind: x }]`,
      /checks\[1\]\.id: is used by another check: "a"/,
    ],
    ['an unknown service', check('service: shop'), /checks\[0\]\.service: names nothing/],
    ['an unknown dependency', check('dependsOn: [b]'), /checks\[0\]\.dependsOn\[0\]: names nothing/],
    [
      'both timings',
      check('every: 1m, cron: "* * * * *"'),
      /checks\[0\]\.cron: stands beside "every" \(give one of them\)/,
    ],
    ['a wrong cron', check('cron: "61 * * * *"'), /checks\[0\]\.cron: 61 is a invalid expression for minute/],
    ['both day fields', check('cron: "0 0 13 * 5"'), /checks\[0\]\.cron: restricts both day of month and day of week/],
    ['a cron of no day', check('cron: "0 0 30W 2 *"'), /checks\[0\]\.cron: never runs/],
    ['a zone without a cron', check('timezone: UTC'), /checks\[0\]\.timezone: means nothing without cron/],
    ['an unknown zone', check('cron: "* * * * *", timezone: Mars/Base'), /checks\[0\]\.timezone: must be a time zone/],
    ['an interval of nothing', check('every: 0s'), /checks\[0\]\.every: must be at least 1s/],
    ['a missing key', `${hosts}checks: [{ id: a }]`, /checks\[0\]\.kind: is missing: must be string/],
    ['a wrong choice', 'hosts: { a: { via: telnet } }', /hosts\.a\.via: must be one of "local"\|"ssh"/],
    ['a wrong name', 'hosts: { "a b": { via: local } }', /hosts\["a b"\]: is not a name: must be letters/],
    ['a wrong topic level', 'site: a/b', /site: must be/],
    [
      'a provider without a key',
      'llm: { providers: [{ name: a, kind: openai, model: m }] }',
      /llm\.providers\[0\]: needs an apiKey/,
    ],
    [
      'a provider without an address',
      'llm: { providers: [{ name: a, kind: compatible, model: m }] }',
      /llm\.providers\[0\]: needs a baseUrl/,
    ],
    ['a list instead of a map', '- a\n- b', /must be object, not array/],
    [
      'a secret in two places',
      'telegram: { token: { file: a, env: B } }',
      /telegram\.token: must name exactly one of file, env or credential/,
    ],
  ])('%s', async (_, text, expected) => {
    const faults = await faultsOf(text);
    expect(faults.join('\n')).toMatch(expected);
    expect(faults.every((fault) => /^lares\.yaml:\d+:\d+ /.test(fault))).toBe(true);
  });
});

test('a check may depend on a default check and on another one', async () => {
  const text = `${hosts}checks:\n  - { id: a, kind: tcp, dependsOn: [pve-reachable, b] }\n  - { id: b, kind: tcp }\n`;
  expect(await faultsOf(text)).toEqual([]);
});

test('a local time that spring skips is a warning, not a fault', async () => {
  const text = `${hosts}checks:\n  - { id: a, kind: tcp, cron: "30 2 * * *", timezone: Europe/Paris }\n`;
  const { warnings } = await loadConfig(write(text));
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatchObject({ line: 4, path: ['checks', 0, 'cron'] });
  expect(warnings[0]?.message).toMatch(/^02:30 does not exist on /);
});

describe('a secret that stands in the file', () => {
  test.each([
    'telegram: { token: "123:hunter2" }',
    'bus: { password: hunter2 }',
    'llm: { providers: [{ name: a, kind: openai, model: m, apiKey: hunter2 }] }',
  ])('is a fault that says how to do it right and does not repeat it: %s', async (text) => {
    const faults = (await faultsOf(text)).join('\n');
    expect(faults).toContain('must say where the secret is kept, not hold it (write ');
    expect(faults).not.toContain('hunter2');
  });

  test('is not repeated by a fault of the YAML either', async () => {
    for (const text of [
      'token: "hunter2" hunter2',
      'a: [hunter2\nb: hunter2: hunter2',
      'a: "hunter2',
      '@hunter2',
      '? hunter2\n - x',
    ]) {
      const faults = (await faultsOf(`telegram:\n  ${text}\n`)).join('\n');
      expect(faults).toMatch(/^lares\.yaml:\d+:\d+ /);
      expect(faults).not.toContain('hunter2');
    }
  });
});

describe('a file that cannot be used says why', () => {
  test.each([
    [
      'a missing one',
      () => join(folder, 'no.yaml'),
      /no\.yaml:1:1 does not exist \(config\/examples\/minimal\.yaml is one to start from\)/,
    ],
    ['a folder', () => folder, /is a folder, not a file/],
    ['bytes that are no text', () => writeBytes(Buffer.from([0xff, 0xfe, 0x00, 0x41])), /is not UTF-8 text/],
    ['a binary file', () => write('a: b\0c'), /holds control characters/],
    ['a very large file', () => write(`# ${'x'.repeat(10_000_000)}`), /has 10000002 bytes; at most/],
    ['broken YAML', () => write('a: [1, 2\nb: 3'), /lares\.yaml:\d+:\d+ /],
    ['a key given twice', () => write('site: a\nsite: b'), /lares\.yaml:2:1 map keys must be unique/],
    ['several documents', () => write('site: a\n---\nsite: b'), /lares\.yaml:2:1 /],
    ['a link to itself', () => linkToItself(), /is a symbolic link to itself/],
    ['an alias bomb', () => write(bomb()), /expands its aliases too often/],
  ])('%s', async (_, make, expected) => {
    const failure = await loadConfig(make()).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ConfigFailure);
    expect(formatFaults(failure as ConfigFailure)).toMatch(expected);
  });

  function writeBytes(bytes: Buffer): string {
    const file = join(folder, 'lares.yaml');
    writeFileSync(file, bytes);
    return file;
  }

  function linkToItself(): string {
    const file = join(folder, 'loop.yaml');
    symlinkSync(file, file);
    return file;
  }

  function bomb(): string {
    const level = (name: string, of: string): string =>
      `${name}: &${name} [${Array.from({ length: 9 }, () => `*${of}`).join(', ')}]\n`;
    return `a: &a [x]\n${['b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name, index) => level(name, 'abcdefg'[index] ?? 'a')).join('')}`;
  }
});

test('whatever the file holds, the outcome is a configuration or faults', async () => {
  mkdirSync(join(folder, 'fuzz'));
  const word = fc.constantFrom(
    'hosts',
    'checks',
    'a',
    ':',
    ' ',
    '\n',
    '  ',
    '- ',
    '{',
    '}',
    '[',
    ']',
    '"',
    '*a',
    '&a',
    '|',
    '1',
    'llm',
    'null',
    '<<',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 25 }), async (words) => {
      const outcome = await loadConfig(write(words.join(''))).catch((error: unknown) => error);
      expect(outcome instanceof ConfigFailure || (outcome as { config?: object }).config !== undefined).toBe(true);
    }),
    { numRuns: 300 },
  );
});
