import { expect, test } from 'vitest';
import { createMetrics } from './metrics.ts';

/** The samples of a page as a scraper reads them: name with labels, and value. */
function samplesOf(page: string): Map<string, string> {
  const lines = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]));
}

test('a counter adds up and a gauge keeps its last value, each with its labels', () => {
  const metrics = createMetrics();
  metrics.count('checks_total', 'Looks.', { labels: { result: 'ok', kind: 'tcp' } });
  metrics.count('checks_total', 'Looks.', { labels: { kind: 'tcp', result: 'ok' }, by: 2 });
  metrics.count('checks_total', 'Looks.', { labels: { kind: 'tcp', result: 'bad' } });
  metrics.gauge('queue_length', 'Queue.', { value: 5 });
  metrics.gauge('queue_length', 'Queue.', { value: 3 });
  const samples = samplesOf(metrics.exposition());
  expect(samples.get('lares_checks_total{kind="tcp",result="ok"}')).toBe('3');
  expect(samples.get('lares_checks_total{kind="tcp",result="bad"}')).toBe('1');
  expect(samples.get('lares_queue_length')).toBe('3');
});

test('each family is headed by its help and type, once', () => {
  const metrics = createMetrics();
  metrics.count('a_total', 'One\nline \\ only.', { labels: { x: '1' } });
  metrics.count('a_total', 'Ignored.', { labels: { x: '2' } });
  const lines = metrics.exposition().split('\n');
  expect(lines[0]).toBe(String.raw`# HELP lares_a_total One\nline \\ only.`);
  expect(lines[1]).toBe('# TYPE lares_a_total counter');
  expect(lines.filter((line) => line.startsWith('# TYPE lares_a_total'))).toHaveLength(1);
});

test('a hostile label value stays inside its quotes', () => {
  const metrics = createMetrics();
  metrics.gauge('g', 'G.', { labels: { unit: 'a"} 1\nevil 2\\' }, value: 1 });
  expect(metrics.exposition()).toContain(String.raw`lares_g{unit="a\"} 1\nevil 2\\"} 1`);
  expect(metrics.exposition()).not.toContain('\nevil');
});

test('values that are no finite numbers are written as Prometheus reads them', () => {
  const metrics = createMetrics();
  const values = { a: Number.NaN, b: Number.POSITIVE_INFINITY, c: Number.NEGATIVE_INFINITY, d: 1e-7 };
  for (const [of, value] of Object.entries(values)) metrics.gauge('g', 'G.', { labels: { of }, value });
  const samples = samplesOf(metrics.exposition());
  expect(['a', 'b', 'c', 'd'].map((of) => samples.get(`lares_g{of="${of}"}`))).toEqual(['NaN', '+Inf', '-Inf', '1e-7']);
});

test('a label with ever new values does not eat the memory, and what was dropped is counted', () => {
  const metrics = createMetrics();
  for (let id = 0; id < 5_000; id += 1) metrics.count('ids_total', 'Ids.', { labels: { id: String(id) } });
  const page = metrics.exposition();
  expect(page.split('\n').filter((line) => line.startsWith('lares_ids_total{'))).toHaveLength(2_000);
  expect(samplesOf(page).get('lares_metrics_dropped_total')).toBe('3000');
});

test('what is measured before a page is as true as the page, until it is ended', () => {
  const metrics = createMetrics();
  let length = 1;
  const end = metrics.beforePage(() => metrics.gauge('queue_length', 'Queue.', { value: length }));
  expect(samplesOf(metrics.exposition()).get('lares_queue_length')).toBe('1');
  length = 2;
  expect(samplesOf(metrics.exposition()).get('lares_queue_length')).toBe('2');
  end();
  length = 3;
  expect(samplesOf(metrics.exposition()).get('lares_queue_length')).toBe('2');
});

test('the process tells of itself', () => {
  const samples = samplesOf(createMetrics().exposition());
  expect(Number(samples.get('process_resident_memory_bytes'))).toBeGreaterThan(1_000_000);
  expect(Number(samples.get('process_cpu_seconds_total'))).toBeGreaterThan(0);
  expect(Number(samples.get('nodejs_eventloop_lag_p99_seconds'))).toBeGreaterThanOrEqual(0);
  expect(Number(samples.get('process_start_time_seconds'))).toBeGreaterThan(1_700_000_000);
});

test('a wrong name, type or amount is a bug', () => {
  const metrics = createMetrics();
  metrics.count('a_total', 'A.');
  expect(() => metrics.gauge('a_total', 'A.', { value: 1 })).toThrow(TypeError);
  expect(() => metrics.count('A-b', 'A.')).toThrow(TypeError);
  expect(() => metrics.count('b', 'B.', { labels: { 'a-b': '1' } })).toThrow(TypeError);
  expect(() => metrics.count('c', 'C.', { by: -1 })).toThrow(TypeError);
});
