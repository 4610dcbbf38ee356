import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Folder } from '../../../test/parts/command.ts';
import { parsePrometheusDuration } from './prometheus-duration.ts';
import { conditionName, distinctRules, readRuleFile } from './rule-file.ts';
import { severityOf } from './rule-result.ts';

function read(text: string): ReturnType<typeof readRuleFile> {
  using folder = new Folder();
  writeFileSync(join(folder.path, 'rules.yaml'), text);
  return readRuleFile('rules.yaml', folder.path);
}

describe('a rule file', () => {
  test('is read as YAML and as JSON', () => {
    const rule = {
      alert: 'Down',
      expr: 'up < 1',
      for: '2m',
      keep_firing_for: '5m',
      labels: { severity: 'page', n: 1 },
    };
    const json = JSON.stringify({ groups: [{ name: 'g', interval: '30s', labels: { team: 'x' }, rules: [rule] }] });
    const yaml = [
      'groups:',
      '- name: g',
      '  interval: 30s',
      '  labels: {team: x}',
      '  rules:',
      '  - {alert: Down, expr: up < 1, for: 2m, keep_firing_for: 5m, labels: {severity: page, n: 1}}',
    ].join('\n');
    for (const [text, line] of [
      [json, 1],
      [yaml, 6],
    ] as const) {
      expect(read(text)).toMatchObject({
        ok: true,
        file: {
          rules: [
            {
              alert: 'Down',
              condition: 'down',
              expression: 'up < 1',
              holdMs: 120_000,
              keepFiringMs: 300_000,
              labels: { team: 'x', severity: 'page', n: '1' },
              group: 'g',
              intervalMs: 30_000,
              place: `rules.yaml:${line}`,
            },
          ],
          recording: 0,
          faults: [],
        },
      });
    }
  });

  test('recording rules are counted, and a wrong rule is told with its line', () => {
    const text = [
      'groups:',
      '- name: g',
      '  rules:',
      '  - record: job:up:sum',
      '    expr: sum(up)',
      '  - alert: Good',
      '    expr: up < 1',
      '  - alert: NoExpression',
      '    for: 5m',
      '  - alert: WrongTime',
      '    expr: up',
      '    for: soon',
      '  - expr: up',
    ].join('\n');
    expect(read(text)).toMatchObject({
      ok: true,
      file: {
        recording: 1,
        rules: [{ alert: 'Good' }],
        faults: [
          expect.stringMatching(/^rules\.yaml:8 expr /),
          'rules.yaml:12 for must be a duration such as 5m',
          'rules.yaml:13 has neither alert nor record',
        ],
      },
    });
  });

  test.each([
    ['groups: [', /rules\.yaml:?\d*" /],
    ['just: something', /has no list of groups/],
    ['[]', /has no list of groups/],
    ['\u0000', /control characters/],
  ])('%j is a fault that names the file', (text, words) => {
    const reading = read(text);
    expect(reading.ok ? '' : reading.reason).toMatch(words);
  });

  test('a missing file is a fault', () => {
    expect(readRuleFile('nowhere.yaml', '/tmp')).toMatchObject({
      ok: false,
      reason: '"/tmp/nowhere.yaml" does not exist',
    });
  });

  test('any text is rules or a fault', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(read(text)).toBeTypeOf('object');
      }),
      { numRuns: 100 },
    );
  });
});

test.each([
  ['Service Down (HTTP)', 'service-down-http'],
  ['HostOutOfMemory', 'host-out-of-memory'],
  ['KubePodCPUHigh', 'kube-pod-cpu-high'],
  ['5xx Errors', 'alert-5xx-errors'],
  ['k8s down', 'alert-k8s-down'],
  ['磁盘', 'alert-unnamed'],
])('the alert "%s" is the condition %s', (alert, condition) => {
  expect(conditionName(alert)).toBe(condition);
});

test('two tiers of one alert have conditions of their own', () => {
  const rule = (severity: string): string => `{alert: Disk, expr: x, labels: {severity: ${severity}}}`;
  const reading = read(`groups: [{name: g, rules: [${rule('warning')}, ${rule('critical')}, ${rule('critical')}]}]`);
  if (!reading.ok) throw new Error(reading.reason);
  expect(distinctRules([reading.file]).map(({ condition }) => condition)).toEqual([
    'disk',
    'disk-critical',
    'disk-critical-2',
  ]);
});

test.each([
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1y', 31_536_000_000],
  ['0', 0],
  ['1.5s', 1_500],
  ['soon', undefined],
])('the duration %s is %d ms', (text, ms) => {
  expect(parsePrometheusDuration(text)).toBe(ms);
});

test.each([
  ['page', 'critical'],
  ['Warning', 'warning'],
  ['none', 'info'],
  ['P1', 'critical'],
  ['constructor', 'warning'],
  [undefined, 'warning'],
])('the label "%s" means %s', (label, severity) => {
  expect(severityOf(label, { P1: 'critical' })).toBe(severity);
});
