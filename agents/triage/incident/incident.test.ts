import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encode } from '#bus/message.ts';
import { Incident, incident as incidentKind } from '#bus/messages/incident.ts';
import { createInventory } from '#config/inventory.ts';
import { ConfigSchema } from '#config/schema.ts';
import { makeFinding, storyStart } from '../../../test/parts/triage-story.ts';
import { clueOf } from './clue.ts';
import { groupsOf } from './grouping.ts';
import { type IncidentEvent, type IncidentRecord, advance, beginIncident } from './incident.ts';
import { messageOfIncident } from './incident-message.ts';
import { decide } from '../notify/notify.ts';

const inventory = createInventory(ConfigSchema.parse({ hosts: { web: {} } }));
const [group] = groupsOf([clueOf(makeFinding({ name: 'host-down', host: 'web' }, storyStart))], inventory);
if (group === undefined) throw new Error('One finding is one group');
const begun = beginIncident('i1', group, { now: storyStart, groupWaitMs: 30_000 });
const config = { groupInterval: 300_000, repeatInterval: 14_400_000, quietHours: undefined };

const events: IncidentEvent[] = [
  { type: 'grouped', group },
  { type: 'opened' },
  { type: 'recovered' },
  { type: 'reopened', why: 'again' },
  { type: 'acknowledged', by: { id: 'telegram:2', name: 'Ada' } },
  { type: 'snoozed', by: { id: 'telegram:2', name: 'Ada' }, until: storyStart + 60_000 },
  { type: 'woke' },
  { type: 'merged', into: { id: 'i2', title: 'other' } },
  { type: 'fix', fix: { plan: 'p1' } },
  { type: 'noted', text: 'news' },
  { type: 'closed' },
];
const anyLife = fc.array(fc.constantFrom(...events), { maxLength: 25 });

const allowed: Record<IncidentRecord['state'], readonly IncidentRecord['state'][]> = {
  grouping: ['grouping', 'open', 'closed'],
  open: ['open', 'resolved', 'closed'],
  resolved: ['resolved', 'open', 'closed'],
  closed: ['closed', 'open'],
};

describe('the life of an incident', () => {
  test('takes no way that is not drawn, and closes an open one only by merging it', () => {
    fc.assert(
      fc.property(anyLife, (life) => {
        let incident = begun;
        for (const [index, event] of life.entries()) {
          const next = advance(incident, event, storyStart + index);
          expect(allowed[incident.state]).toContain(next.state);
          const isClosing = incident.state === 'open' && next.state === 'closed';
          expect(!isClosing || next.mergedInto !== undefined).toBe(true);
          expect(incident.mergedInto === undefined || next.state === 'closed').toBe(true);
          incident = next;
        }
      }),
    );
  });

  test('is always a valid message', () => {
    fc.assert(
      fc.property(anyLife, (life) => {
        let incident = begun;
        for (const event of life) incident = advance(incident, event, storyStart);
        expect(Incident.safeParse(messageOfIncident(incident)).success).toBe(true);
      }),
    );
  });

  test('an acknowledgement ends with a reopening', () => {
    const life: IncidentEvent[] = [
      { type: 'opened' },
      { type: 'acknowledged', by: { id: 'telegram:2', name: 'Ada' } },
      { type: 'recovered' },
    ];
    const resolved = life.reduce((incident, event) => advance(incident, event, storyStart), begun);
    expect(resolved.acknowledgedBy).toBe('telegram:2');
    expect(advance(resolved, { type: 'reopened', why: 'again' }, storyStart)).not.toHaveProperty('acknowledgedBy');
  });

  test.each(['x', 'ж', '故'])('many members with long words of "%s" stay below the limit of the bus', (letter) => {
    const long = letter.repeat(600);
    const many = Array.from({ length: 700 }, (_, index) =>
      clueOf(
        makeFinding(
          { name: 'check-unknown', host: 'web', resource: `r${index}`, condition: 'unknown', summary: long },
          storyStart,
        ),
      ),
    );
    const [large] = groupsOf(many, inventory);
    if (large === undefined) throw new Error('There is a group');
    const incident = beginIncident('i1', large, { now: storyStart, groupWaitMs: 0 });
    expect(encode(incidentKind, messageOfIncident(incident)).length).toBeLessThan(262_144);
    expect(messageOfIncident(incident).members).toHaveLength(500);
  });
});

describe('what is told', () => {
  test('follows from what was told: deciding twice at one moment tells nothing the second time', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...events), fc.nat(20_000_000)), { maxLength: 25 }), (life) => {
        let incident = begun;
        let now = storyStart;
        for (const [event, passed] of life) {
          now += passed;
          incident = advance(incident, event, now);
          const decision = decide(incident, config, now);
          if (decision === undefined) continue;
          incident = advance(incident, { type: 'told', told: decision.told }, now);
          expect(decide(incident, config, now)).toBeUndefined();
        }
      }),
    );
  });

  test('nothing while grouping, and never a sound for information or a snoozed incident', () => {
    expect(decide(begun, config, storyStart)).toBeUndefined();
    const open = advance(begun, { type: 'opened' }, storyStart);
    expect(decide({ ...open, severity: 'info' }, config, storyStart)).toBeUndefined();
    expect(decide({ ...open, snoozedUntil: storyStart + 1 }, config, storyStart)).toMatchObject({
      reason: 'first',
      sound: false,
    });
    expect(decide(open, config, storyStart)).toMatchObject({ reason: 'first', sound: true });
  });

  test('a worse severity rings, at most once in the group interval', () => {
    const told = { state: 'open' as const, severity: 'warning' as const, soundAt: storyStart, at: storyStart };
    const worse = { ...advance(begun, { type: 'opened' }, storyStart), told };
    expect(decide(worse, config, storyStart + 60_000)).toBeUndefined();
    expect(decide(worse, config, storyStart + 300_000)).toMatchObject({ reason: 'escalated', sound: true });
  });
});
