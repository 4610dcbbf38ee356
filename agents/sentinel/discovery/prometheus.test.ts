import { describe, expect, test, vi } from 'vitest';
import { describeWith } from '../../../test/parts/daemon.ts';
import { discover, thingsOf } from '../../../test/parts/discovery-context.ts';
import { startFakeApi } from '../../../test/parts/fake-api.ts';
import { prometheusPrograms, startPrometheus } from '../../../test/parts/prometheus.ts';
import { until } from '../../../test/parts/until.ts';
import { source } from './prometheus.ts';

/** As Prometheus 2.42 answers. */
function target(job: string, instance: string, labels: object = {}): object {
  return {
    discoveredLabels: { __address__: instance, job },
    labels: { instance, job, ...labels },
    scrapePool: job,
    scrapeUrl: `http://${instance}/metrics`,
    health: 'up',
    lastError: '',
  };
}

describe('targets', () => {
  test('are machines by their address, with their jobs; a name in the labels is the name', async () => {
    const activeTargets = [
      target('node', '192.168.8.80:9100'),
      target('cadvisor', '192.168.8.80:9092'),
      target('node', '192.168.8.90:9100', { nodename: 'vps' }),
      target('blackbox', 'https://shop.example.org/health'),
      target('prometheus', 'localhost:9090'),
      { labels: {} },
      'no target',
    ];
    await using fake = await startFakeApi(() => ({
      body: { status: 'success', data: { activeTargets, droppedTargets: [] } },
    }));
    const answer = await discover(source, { url: fake.url });
    expect(thingsOf(answer).map(({ name, address, services }) => [name, address, services])).toEqual([
      ['192.168.8.80', '192.168.8.80', ['cadvisor', 'node']],
      ['vps', '192.168.8.90', ['node']],
      ['shop.example.org', undefined, ['blackbox']],
      ['127.0.0.1', '127.0.0.1', ['prometheus']],
    ]);
    expect(answer).toMatchObject({ notes: ['1 target without the address of a machine'] });
  });

  test('are asked for with the login of a proxy in front', async () => {
    vi.stubEnv('LARES_TEST_PROMETHEUS', 'planted');
    await using fake = await startFakeApi(({ headers }) =>
      headers.authorization === `Basic ${Buffer.from('me:planted').toString('base64')}`
        ? { body: { status: 'success', data: { activeTargets: [target('node', '10.0.0.5:9100')] } } }
        : { status: 401, body: 'Unauthorized' },
    );
    const login = { user: 'me', password: { env: 'LARES_TEST_PROMETHEUS' } };
    expect(thingsOf(await discover(source, { url: fake.url, ...login }))).toHaveLength(1);
    const refused = await discover(source, { url: fake.url });
    vi.unstubAllEnvs();
    expect(refused).toMatchObject({ is: 'silent', reason: expect.stringContaining('401') });
  });

  test('may be none', async () => {
    await using fake = await startFakeApi(() => ({ body: { status: 'success', data: { activeTargets: null } } }));
    expect(thingsOf(await discover(source, { url: fake.url }))).toEqual([]);
  });
});

describeWith(prometheusPrograms, 'a real Prometheus', () => {
  test('tells whom it scrapes', async () => {
    await using prometheus = await startPrometheus({
      config: { scrape_configs: [{ job_name: 'node', static_configs: [{ targets: ['192.0.2.7:9100'] }] }] },
    });
    const names = async (): Promise<string[]> =>
      thingsOf(await discover(source, { url: prometheus.url })).map(({ name }) => name);
    await until(async () => (await names()).includes('192.0.2.7'), 'the target', 15_000);
    expect(await names()).toEqual(['192.0.2.7']);
  }, 30_000);
});
