import { describe, expect, test } from 'vitest';
import { createInventory } from '#config/inventory.ts';
import { type ConfigInput, ConfigSchema } from '#config/schema.ts';
import { makeFinding } from '../../../test/parts/triage-story.ts';
import { clueOf } from '../incident/clue.ts';
import { groupsOf } from '../incident/grouping.ts';
import { advance, beginIncident, type IncidentRecord } from '../incident/incident.ts';
import { dueReminders, reminderText } from './remind.ts';

const hour = 3_600_000;
const by = { id: 'telegram:2', name: 'Ada' };

/** An open incident that people were told of then. */
function told(at: number, severity: 'warning' | 'critical' | 'info' = 'critical', host = 'web'): IncidentRecord {
  const inventory = createInventory(ConfigSchema.parse({}));
  const [group] = groupsOf([clueOf(makeFinding({ name: 'http-down', host, severity }, at))], inventory);
  if (group === undefined) throw new Error('One finding is one group');
  const open = advance(beginIncident(host, group, { now: at, groupWaitMs: 0 }), { type: 'opened' }, at);
  return advance(open, { type: 'told', told: { state: 'open', severity, soundAt: at, at } }, at);
}

function due(incidents: IncidentRecord[], now: number, config: ConfigInput = {}): string[] {
  const parsed = ConfigSchema.parse({ digest: { timezone: 'UTC' }, ...config });
  return dueReminders(incidents, parsed, now).map(({ id }) => id);
}

const noon = Date.parse('2026-11-20T12:00:00Z');
const midnight = noon + 12 * hour;

describe('a reminder', () => {
  test('comes each hour of what is critical and each four of a warning, never of information', () => {
    expect(due([told(noon)], noon + hour - 1)).toEqual([]);
    expect(due([told(noon)], noon + hour)).toEqual(['web']);
    expect(due([told(noon, 'warning')], noon + 4 * hour - 1)).toEqual([]);
    expect(due([told(noon, 'warning')], noon + 4 * hour)).toEqual(['web']);
    expect(due([told(noon, 'info')], noon + 100 * hour)).toEqual([]);
  });

  test('comes of nothing that somebody is on, snoozed or ended', () => {
    const now = noon + 2 * hour;
    const acknowledged = advance(told(noon), { type: 'acknowledged', by }, noon);
    const snoozed = advance(told(noon), { type: 'snoozed', by, until: now + 1 }, noon);
    const over = advance(told(noon), { type: 'recovered' }, noon);
    expect(due([acknowledged, snoozed, over], now)).toEqual([]);
    expect(due([snoozed], now + 1)).toEqual(['web']);
  });

  test('does not come where its interval is nothing', () => {
    const incidents = [told(noon), told(noon, 'warning', 'db')];
    const none = { triage: { repeatInterval: '0s' } };
    const noneOfCritical = { triage: { criticalRepeatInterval: '0s' } };
    expect(due(incidents, noon, none)).toEqual([]);
    expect(due(incidents, noon + 9 * hour, none)).toEqual([]);
    expect(due(incidents, noon + 9 * hour, noneOfCritical)).toEqual(['db']);
  });

  test('takes along what has waited for most of its time, and waits for nobody', () => {
    const fresh = told(noon + 2 * hour, 'warning', 'fresh');
    const nearly = told(noon, 'warning', 'nearly');
    expect(due([told(noon + 2 * hour), fresh, nearly], noon + 3 * hour)).toEqual(['web', 'nearly']);
    expect(due([fresh, nearly], noon + 3 * hour)).toEqual([]);
  });

  test('of a warning waits at night for the morning, of what is critical it does not', () => {
    const evening = noon + 9 * hour;
    expect(due([told(evening, 'warning')], midnight + 6 * hour)).toEqual([]);
    expect(due([told(evening, 'warning')], midnight + 7 * hour)).toEqual(['web']);
    expect(due([told(evening)], midnight)).toEqual(['web']);
  });

  test('below the floor waits for the end of quiet hours, which take the place of the night', () => {
    const quietHours = { from: '09:00', to: '18:00', timezone: 'UTC' };
    const config: ConfigInput = { triage: { quietHours } };
    expect(due([told(noon, 'warning')], noon + 5 * hour, config)).toEqual([]);
    expect(due([told(noon, 'warning')], noon + 6 * hour, config)).toEqual(['web']);
    expect(due([told(noon, 'warning')], midnight, config)).toEqual(['web']);
    const floor: ConfigInput = { triage: { quietHours: { ...quietHours, floor: 'warning' } } };
    expect(due([told(noon, 'warning')], noon + 4 * hour, floor)).toEqual(['web']);
  });

  test('is never later of what is critical than of a warning', () => {
    expect(due([told(noon)], noon + hour / 2, { triage: { repeatInterval: '30m' } })).toEqual(['web']);
  });

  test('lists ten and counts the rest', () => {
    const many = Array.from({ length: 13 }, (_, index) => told(noon, 'warning', `h${index}`));
    const lines = reminderText(many).split('\n');
    expect(lines).toHaveLength(12);
    expect([lines[0], lines[1], lines[11]]).toEqual(['Still open: 13', '• warning: http-down of h0', 'and 3 more']);
  });
});
