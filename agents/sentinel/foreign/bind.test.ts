import { expect, test } from 'vitest';
import { type ConfigInput, ConfigSchema } from '#config/schema.ts';
import { bindIntakes } from './bind.ts';

const bind = (intake: ConfigInput['intake'], more: ConfigInput = {}) =>
  bindIntakes(ConfigSchema.parse({ intake, ...more }));

test('a source has the options and the timeout of its kind, or its own', async () => {
  const { sources, faults } = await bind({
    prom: { kind: 'alertmanager' },
    slow: { kind: 'alertmanager', resolveTimeout: '1h', severities: { Sehr: 'critical' } },
    am: { kind: 'alertmanager-webhook' },
    never: { kind: 'wazuh', resolveTimeout: '0s', minimumLevel: 10 },
  });
  expect(faults).toEqual([]);
  expect(sources.map(({ resolveAfterMs }) => resolveAfterMs)).toEqual([300_000, 3_600_000, undefined, undefined]);
  expect(sources[1]?.severities.get('sehr')).toBe('critical');
  expect(sources[3]?.options).toMatchObject({ minimumLevel: 10, criticalLevel: 12 });
});

test('a misspelt kind, a misspelt option and a missing one are faults at their place', async () => {
  const { faults } = await bind({
    a: { kind: 'alertmanger' },
    b: { kind: 'grafana', signatur: {} },
    c: { kind: 'json' },
    d: { kind: 'mqtt', topics: ['a/#/b'], map: { title: 'a' } },
  });
  expect(faults.map(({ path }) => path.join('.'))).toEqual([
    'intake.a.kind',
    'intake.b.signatur',
    'intake.c.map',
    'intake.d.topics.0',
  ]);
  expect(faults[0]?.message).toContain('did you mean "alertmanager"?');
  expect(faults[1]?.message).toContain('did you mean "signature"?');
});

test('what listens at a broker needs one of its own, or a bus that is not inside Lares', async () => {
  const guardian = { kind: 'guardian-events' };
  expect((await bind({ guardian })).faults).toMatchObject([{ path: ['intake', 'guardian'] }]);
  expect((await bind({ guardian }, { bus: { url: 'mqtt://broker.lan' } })).faults).toEqual([]);
  expect((await bind({ guardian: { ...guardian, url: 'mqtt://broker.lan' } })).faults).toEqual([]);
});
