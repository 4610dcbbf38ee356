import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { logPart, measuredPart, metricNames, promqlTokens, selectors } from './promql.ts';
import { sampleValue } from './prometheus-api.ts';
import { carriedLabels, numberText, seriesName } from './series.ts';

describe('the metrics that an expression reads', () => {
  test.each<[string, string[] | undefined]>([
    ['probe_success{job=~"blackbox_http.*"} < 1', ['probe_success']],
    [
      '(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes) * 100 > 90',
      ['node_memory_MemAvailable_bytes', 'node_memory_MemTotal_bytes'],
    ],
    [
      '100 - (avg by(instance) (irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100) > 85',
      ['node_cpu_seconds_total'],
    ],
    ['sum(rate(a_total[5m])) by (job) / on(job) group_left(team) b > bool 1e3', ['a_total', 'b']],
    ['absent(up{job="x"}) or absent_over_time(y[1h])', []],
    ['absent(sum(x)) or z offset 5m', ['z']],
    ['{__name__="by_name"} > 0 # up is not read', []],
    ['rate(x{path="up{a}"}[5m]) unless "y" ', ['x']],
    ['time() - job:last:seconds > 7 * 86400', ['job:last:seconds']],
    ['WITH (cpu = rate(x[5m])) sum(cpu)', undefined],
    ['vector(1)', []],
  ])('%s', (expression, names) => {
    expect(metricNames(expression)).toEqual(names);
  });
});

test.each<[string, string[] | undefined]>([
  ['probe_success{job=~"a{2}"} < 1', ['probe_success{job=~"a{2}"}']],
  ['rate(x{a="b"}[5m]) / on (i) y > 2 or {__name__="z"}', ['x{a="b"}', 'y', '{__name__="z"}']],
  ['absent(up{job="x"}) or sum by (up) (up)', ['up']],
  ['vector(1) > 0', []],
  ['WITH (a = b) a', undefined],
])('the selectors of %s', (expression, found) => {
  expect(selectors(expression)).toEqual(found);
});

test.each([
  ['100 - (avg by (i) (x) * 100) > 85', '100 - (avg by (i) (x) * 100)'],
  ['probe_success{job=~"a<b"} < 1', 'probe_success{job=~"a<b"}'],
  ['probe_ssl_earliest_cert_expiry - time() < 7 * 86400', 'probe_ssl_earliest_cert_expiry - time()'],
  ['x == bool 0', 'x'],
  ['a > 1 and b > 2', 'a > 1 and b > 2'],
  ['(a > 1)', '(a > 1)'],
  ['a > b', 'a > b'],
  ['up', 'up'],
  ['', ''],
])('what "%s" measures is "%s"', (expression, part) => {
  expect(measuredPart(expression)).toBe(part);
});

test.each([
  ['sum by (host) (count_over_time({job="sshd"} |= "Failed" != "}" [5m]))', '{job="sshd"} |= "Failed" != "}"'],
  ['rate({job="a", x=~"{b}"} | json | status >= 500 [1m]) > 2', '{job="a", x=~"{b}"} | json | status >= 500'],
  ['vector(1)', undefined],
])('the lines that "%s" counts', (query, part) => {
  expect(logPart(query)).toBe(part);
});

test('any text can be cut into pieces that make it up again', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...Array.from('{}[]()"\'`\\ #ab1.=<>~')) })),
      (text) => {
        for (const { at, text: piece } of promqlTokens(text)) expect(text.slice(at, at + piece.length)).toBe(piece);
        metricNames(text);
        expect(text).toContain(measuredPart(text));
      },
    ),
    { numRuns: 1_000 },
  );
});

test.each([
  ['1', 1],
  ['5.4e+00', 5.4],
  ['0e+00', 0],
  ['+Inf', Number.POSITIVE_INFINITY],
  ['-Inf', Number.NEGATIVE_INFINITY],
  ['NaN', Number.NaN],
  ['', Number.NaN],
])('the sample "%s" is %d', (text, value) => {
  expect(sampleValue(text)).toBe(value);
});

describe('the name of a series', () => {
  test('says which thing it is before the rest, and not what is the same for all', () => {
    const labels = { __name__: 'x', job: 'node', mountpoint: '/', instance: 'ct101:9100', severity: 'warning' };
    expect(seriesName(labels)).toBe('ct101:9100 mountpoint=/');
    expect(seriesName({ job: 'node' })).toBe('job=node');
    expect(seriesName({})).toBe('');
  });

  test('stays short and different for long labels that differ at the end', () => {
    const long = (end: string): string => seriesName({ instance: `${'a'.repeat(400)}${end}` });
    expect(long('1')).not.toBe(long('2'));
    expect(long('1').length).toBeLessThan(200);
  });

  test('labels that a finding cannot carry are left out', () => {
    expect(carriedLabels({ __name__: 'x', 'utf8.name': '1', ok: 'a\nb', long: 'x'.repeat(2_000) })).toEqual({
      ok: 'a b',
      long: `${'x'.repeat(499)}…`,
    });
  });
});

test.each([
  [93.4567, '93.46'],
  [1_234_567.8, '1234568'],
  [0.0000123456, '0.00001235'],
  [0, '0'],
  [Number.NaN, 'NaN'],
])('the number %d is shown as %s', (value, text) => {
  expect(numberText(value)).toBe(text);
});
