import { expect, test } from 'vitest';
import type { CommandRunner } from '#agents/runtime/command.ts';
import { answering } from '../../../test/parts/check-context.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { ReportingHouse } from '../../../test/parts/reporting-house.ts';
import { SentinelStage, startMs } from '../../../test/parts/sentinel-stage.ts';
import { until } from '../../../test/parts/until.ts';

test('what others report of a host that can be looked at comes with what changed there before', async () => {
  await using stage = await SentinelStage.open();
  const house = new ReportingHouse(stage);
  const host = sectionsText({
    time: `${startMs / 1_000} +0000`,
    dpkg: '2026-11-20 11:58:00 upgrade nginx:amd64 1.22 1.24',
    done: '',
  });
  const asked: string[] = [];
  const runnerFor = (name: string): CommandRunner => {
    asked.push(name);
    return answering(host);
  };
  const hosts = { web: { via: 'local' as const }, nas: { address: '10.0.0.9' } };
  const intake = { prom: { kind: 'alertmanager', token: { env: 'REPORTING_HOUSE_TOKEN' } } };
  await stage.start({ hosts, intake }, { probes: { runnerFor, close: () => Promise.resolve() } });
  const labels = { alertname: 'SiteDown', instance: 'web' };
  await house.post('prom', { labels, annotations: { summary: 'it is down', description: 'no answer for 5 m' } });
  await until(() => house.last(labels)?.evidence.length === 2, 'what changed');
  expect(house.last(labels)).toMatchObject({
    status: 'firing',
    evidence: [
      { title: 'What "prom" says', lines: ['description: no answer for 5 m'] },
      { kind: 'change', lines: [expect.stringContaining('package nginx upgraded') as string] },
    ],
  });
  const told = stage.findings.length;
  await house.post('prom', { labels: { alertname: 'NasDown', instance: 'nas' } });
  await house.until({ alertname: 'NasDown', instance: 'nas' }, 'firing');
  await house.post('prom', { labels: { alertname: 'Elsewhere', instance: 'moon' } });
  await house.until({ alertname: 'Elsewhere', instance: 'moon' }, 'firing');
  expect(stage.findings.length).toBe(told + 2);
  expect(asked).not.toContain('moon');
});
