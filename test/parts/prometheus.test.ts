import { expect, test } from 'vitest';
import { startAlertmanager } from './alertmanager.ts';
import { describeWith } from './daemon.ts';
import { startExporter, startPrometheus } from './prometheus.ts';
import { until } from './until.ts';
import { startVictoriaMetrics, startVmalert } from './victoria-metrics.ts';

const always = { groups: [{ name: 'g', rules: [{ alert: 'Always', expr: 'vector(1) > 0' }] }] };

describeWith(['prometheus', 'prometheus-alertmanager', 'prometheus-node-exporter'], 'the Prometheus parts', () => {
  test('Prometheus scrapes an exporter and tells Alertmanager', async () => {
    await using alertmanager = await startAlertmanager();
    await using node = await startExporter('node', ['--collector.disable-defaults', '--collector.loadavg']);
    const alertmanagers = [{ static_configs: [{ targets: [alertmanager.address] }] }];
    await using prometheus = await startPrometheus({
      config: {
        alerting: { alertmanagers },
        scrape_configs: [{ job_name: 'node', static_configs: [{ targets: [node.address] }] }],
      },
      rules: always,
    });
    await until(async () => (await prometheus.query('node_load1')).length === 1, 'the load of this machine');
    await until(async () => (await alertmanager.alerts()).length === 1, 'the alert');
    await prometheus.configure({ config: 'nonsense: true' });
    expect(await prometheus.reload()).toBe(false);
    await prometheus.configure({});
    expect(await prometheus.reload()).toBe(true);
  });
});

describeWith(['victoria-metrics', 'vmalert', 'prometheus-alertmanager'], 'the VictoriaMetrics parts', () => {
  test('VictoriaMetrics keeps what is written, and vmalert tells Alertmanager of it', async () => {
    await using alertmanager = await startAlertmanager();
    await using metrics = await startVictoriaMetrics();
    await metrics.write('probe_success{job="x"} 0');
    await until(async () => (await metrics.query('probe_success')).length === 1, 'the written value');
    const rules = { groups: [{ name: 'g', rules: [{ alert: 'Down', expr: 'probe_success < 1' }] }] };
    await using vmalert = await startVmalert({ rules, datasource: metrics.url, notifier: alertmanager.url });
    await until(async () => (await alertmanager.alerts()).length === 1, 'the alert');
    expect(await vmalert.reload()).toBe(true);
  });
});
