import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planChecks } from './planned-checks.ts';
import { ConfigSchema } from './schema.ts';

let presets: string;
beforeAll(() => {
  presets = mkdtempSync(join(tmpdir(), 'lares-presets-'));
  const text = `preset: shop
title: Shop
about: A shop.
parameters:
  url: { type: url, about: Where it is. }
  token: { type: secret, optional: true, about: Its key. }
  limit: { type: number, default: 5, about: Orders that may wait. }
checks:
  - suffix: front
    kind: http
    url: '{url}/health?on={host}&as={name}'
    contains: '{unknown} stays'
  - suffix: orders
    needs: [token]
    guardian: service-health
    kind: shop-orders
    url: '{url}'
    token: '{token}'
    above: '{limit}'
    timeout: 30s
`;
  writeFileSync(join(presets, 'shop.yaml'), text);
  const kiosk =
    'preset: kiosk\ntitle: x\nabout: x\nparameters: { token: { type: secret, about: Its key. } }\nchecks:\n';
  const checks = "  - { suffix: front, kind: tcp }\n  - { suffix: orders, kind: tcp, dependsOn: ['{name}-front'] }\n";
  writeFileSync(join(presets, 'kiosk.yaml'), kiosk + checks);
  const deep =
    "preset: deep\ntitle: x\nabout: x\nchecks: [{ suffix: a, kind: b, limits: { warning: '{limit}' }, list: [{ of: '{limit}' }] }]\n";
  writeFileSync(join(presets, 'deep.yaml'), deep);
  writeFileSync(join(presets, 'broken.yaml'), 'preset: other\ntitle: x\nabout: x\nchecks: [{ suffix: a, kind: b }]\n');
});
afterAll(() => rmSync(presets, { recursive: true }));

const plan = (input: object) => planChecks(ConfigSchema.parse({ presets, defaultChecks: false, ...input }));
const withWatch = (...watch: object[]) => ({
  hosts: { web: { address: '10.0.0.7' } },
  services: { shop: { on: 'web', watch } },
});
const use = { preset: 'shop', url: 'http://10.0.0.7:8080/' };

describe('a preset on a service', () => {
  test('says of a parameter that does nothing alone what it needs, and nothing of one whose check is not wanted', () => {
    const idle = plan(withWatch({ ...use, limit: 3 }));
    expect(idle.faults).toEqual([
      { path: ['services', 'shop', 'watch', 0, 'limit'], message: 'does nothing without token' },
    ]);
    expect(plan(withWatch({ ...use, limit: 3, without: ['orders'] })).faults).toEqual([]);
    expect(plan(withWatch({ ...use, limit: 3, token: { env: 'SHOP' } })).faults).toEqual([]);
  });

  test('makes its checks about that service, with its parameters in their places', () => {
    const { checks, faults } = plan(withWatch(use));
    expect(faults).toEqual([]);
    expect(checks.map(({ check, origin, path }) => [check.id, origin, path])).toEqual([
      ['shop-front', 'preset', ['services', 'shop', 'watch', 0]],
    ]);
    expect(checks[0]?.check).toMatchObject({
      host: 'web',
      service: 'shop',
      options: { url: 'http://10.0.0.7:8080/health?on=web&as=shop', contains: '{unknown} stays' },
    });
  });

  test('adds what an optional parameter allows, in the round of its guardian, with types kept', () => {
    const token = { file: 'shop.key' };
    const { checks } = plan({ ...withWatch({ ...use, token }), guardians: { 'service-health': { timezone: 'UTC' } } });
    const orders = checks.find(({ check }) => check.id === 'shop-orders');
    expect(orders?.check).toMatchObject({
      options: { token, above: 5 },
      timeout: 30_000,
      cron: '30 */6 * * *',
      timezone: 'UTC',
    });
    expect(Object.fromEntries(orders?.parameterOf ?? [])).toEqual({ url: 'url', token: 'token', above: 'limit' });
    const guardian = checks.find(({ check }) => check.kind === 'guardian');
    expect(guardian?.check).toMatchObject({ id: 'service-health', options: { members: ['shop-orders'] } });
  });

  test('has the address of its host, unless it is given another', () => {
    const address = (given: object) =>
      plan({ hosts: { web: { address: '10.0.0.7', watch: [{ preset: 'device', ...given }] } } }).checks[0]?.check
        .options['address'];
    expect(address({ address: '10.0.0.8' })).toBe('10.0.0.8');
    expect(address({ address: '10.0.0.7' })).toBe('10.0.0.7');
  });

  test('takes interval, severity, labels and omissions of its use', () => {
    const { checks } = plan(
      withWatch({
        ...use,
        token: { env: 'X' },
        every: '5m',
        for: '1m',
        severity: 'info',
        labels: { a: 'b' },
        without: ['orders'],
      }),
    );
    expect(checks).toHaveLength(1);
    expect(checks[0]?.check).toMatchObject({ every: 300_000, for: 60_000, severity: 'info', labels: { a: 'b' } });
  });

  test('is replaced check by check by what a person wrote', () => {
    const own = { id: 'shop-front', kind: 'tcp', address: 'x', port: 1 };
    expect(plan({ ...withWatch(use), checks: [own] }).checks.map(({ check }) => check.kind)).toEqual(['tcp']);
  });

  test.each([
    [{ preset: 'shopp' }, ['preset'], 'did you mean "shop"'],
    [{ preset: '.shop' }, ['preset'], 'there is no preset'],
    [{ preset: 'broken' }, ['preset'], 'calls itself "other"'],
    [{ preset: 'shop' }, [], 'needs url: Where it is.'],
    [{ ...use, tokn: 1 }, ['tokn'], 'is no parameter of the preset "shop"'],
    [{ ...use, token: 'hunter2' }, ['token'], 'object'],
    [{ ...use, url: 'nonsense' }, ['url'], 'must be an address'],
    [{ ...use, without: ['back'] }, ['without'], 'names no check of the preset: "back"'],
  ])('%j is refused where it stands', (watch, below, message) => {
    const { faults } = plan(withWatch(watch));
    expect(faults).toHaveLength(1);
    expect(faults[0]?.path).toEqual(['services', 'shop', 'watch', 0, ...below]);
    expect(`${faults[0]?.message} ${faults[0]?.hint ?? ''}`).toContain(message);
    expect(JSON.stringify(faults)).not.toContain('hunter2');
  });

  test('that names a parameter it does not have is wrong, however deep', () => {
    expect(plan(withWatch({ preset: 'deep' })).faults).toMatchObject([
      { message: expect.stringContaining('names no parameter: "limit"') as string },
    ]);
  });

  test('used twice with the same checks is a fault, not a silent loss, until one has a name of its own', () => {
    const { faults } = plan(withWatch(use, use));
    expect(faults).toMatchObject([
      { message: 'makes a second check "shop-front"', hint: expect.stringContaining('as: second') as string },
    ]);
    const named = plan(withWatch(use, { ...use, as: 'second' }));
    expect(named.faults).toEqual([]);
    expect(named.checks.map(({ check }) => check.id)).toEqual(['shop-front', 'shop-second-front']);
  });

  test('that has a check like one of another preset there is told apart by its own name, all its checks alike', () => {
    const token = { file: 'kiosk.key' };
    const { checks, faults } = plan(withWatch(use, { preset: 'kiosk', token }));
    expect(faults).toEqual([]);
    expect(checks.map(({ check: { id, dependsOn } }) => [id, dependsOn])).toEqual([
      ['shop-front', []],
      ['shop-kiosk-front', []],
      ['shop-kiosk-orders', ['shop-kiosk-front']],
    ]);
  });
});

describe('guardians', () => {
  const member = { id: 'a', kind: 'file', guardian: 'backup-freshness' };

  test('give their cron to members without a timing of their own', () => {
    const { checks } = plan({
      checks: [member, { ...member, id: 'b', every: '1h' }],
      guardians: { 'backup-freshness': { cron: '1 2 * * *', timezone: 'Europe/Paris' } },
    });
    const of = (id: string) => checks.find(({ check }) => check.id === id)?.check;
    expect(of('a')).toMatchObject({ cron: '1 2 * * *', timezone: 'Europe/Paris' });
    expect(of('b')?.cron).toBeUndefined();
    expect(of('backup-freshness')?.options['members']).toEqual(['a', 'b']);
  });

  test('that are switched off take their checks along', () => {
    expect(plan({ checks: [member], guardians: { 'backup-freshness': { enabled: false } } }).checks).toEqual([]);
  });

  test('may be a person’s own, with a cron', () => {
    const own = { ...member, guardian: 'night' };
    expect(plan({ checks: [own], guardians: { night: { cron: '0 3 * * *' } } }).faults).toEqual([]);
    expect(plan({ checks: [own], guardians: { night: {} } }).faults[0]?.message).toContain('has no cron');
    expect(plan({ checks: [{ ...member, guardian: 'backup-freshnes' }] }).faults[0]?.message).toContain('did you mean');
  });
});
