import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeWith, programPath } from '../parts/daemon.ts';
import { Lares } from '../parts/lares.ts';
import { until } from '../parts/until.ts';

const rules = join(import.meta.dirname, '../../config/rules/lares.rules.yaml');

async function metricsOf(lares: Lares): Promise<string> {
  const address = /"health":"([^"]+)"/.exec(lares.output)?.[1] ?? '';
  return (await fetch(`${address}/metrics`)).text();
}

describeWith(['promtool'], 'the metrics of the running program', () => {
  test('are as Prometheus wants them, and hold what the alert rules on Lares ask for', async () => {
    // A channel and a finding: each sort of metric has something to count.
    const checks = [{ id: 'gone', kind: 'tcp', address: '127.0.0.1', port: 1, for: '0s' }];
    await using lares = new Lares({ terminal: true, checks });
    await lares.start();
    await until(() => lares.output.includes('"first-round"'), 'the first round', 60_000);
    const page = await metricsOf(lares);
    const { status, stdout, stderr } = spawnSync(programPath('promtool') ?? 'promtool', ['check', 'metrics'], {
      input: page,
      encoding: 'utf8',
    });
    expect(`${stdout}${stderr}`).toBe('');
    expect(status).toBe(0);
    const asked = new Set(readFileSync(rules, 'utf8').match(/\b(?:lares|process|nodejs)_\w+/g));
    // Only once somebody was told something.
    asked.delete('lares_deliveries_total');
    expect([...asked].filter((name) => !new RegExp(`^${name}[ {]`, 'm').test(page))).toEqual([]);
    expect(asked.size).toBeGreaterThan(5);
  }, 120_000);
});
