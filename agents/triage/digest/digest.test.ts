import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { digest } from '#bus/messages/digest.ts';
import { manifest } from '#bus/messages/manifest.ts';
import { toInstant } from '#agents/runtime/clock.ts';
import { Story } from '../../../test/parts/triage-story.ts';
import { dueDigest, lastDueDay } from './due.ts';
import { type DigestFacts, median } from './facts.ts';
import { digestText, maximumDigest } from './text.ts';

const hour = 3_600_000;

describe('when a digest is due', () => {
  const paris = { at: '02:30', timeZone: 'Europe/Paris' };

  test('once a day, also on the days when the clock changes', () => {
    // Clocks went from 02:00 to 03:00 on 2026-03-29 and from 03:00 to 02:00 on 2026-10-25.
    for (const [from, days] of [
      ['2026-03-27T12:00:00Z', 5],
      ['2026-10-23T12:00:00Z', 5],
    ] as const) {
      let last = lastDueDay(Date.parse(from), paris);
      const made: string[] = [];
      for (let now = Date.parse(from); now < Date.parse(from) + days * 24 * hour; now += 10 * 60_000) {
        const due = dueDigest(last, now, paris);
        if (due === undefined) continue;
        expect(due.missed).toEqual([]);
        made.push(due.day);
        last = due.day;
      }
      expect(made).toHaveLength(days);
      expect(new Set(made).size).toBe(days);
    }
  });

  test('after a downtime once, and it names what was missed', () => {
    const now = Date.parse('2026-11-20T12:00:00Z');
    expect(dueDigest('2026-11-17', now, { at: '07:00', timeZone: 'UTC' })).toEqual({
      day: '2026-11-20',
      missed: ['2026-11-18', '2026-11-19'],
    });
    expect(dueDigest('2026-11-20', now, { at: '07:00', timeZone: 'UTC' })).toBeUndefined();
  });
});

const anyText = fc.string({ maxLength: 500 });
const anyFacts: fc.Arbitrary<DigestFacts> = fc.record({
  from: fc.constant(0),
  to: fc.constant(24 * hour),
  opened: fc.array(
    fc.record({
      title: anyText,
      severity: fc.constant('critical'),
      state: fc.constantFrom('open', 'closed'),
      startsAt: fc.nat(hour),
      endsAt: fc.option(fc.nat(hour), { nil: undefined }),
    }),
    { maxLength: 80 },
  ),
  closed: fc.nat(),
  stillOpen: fc.array(
    fc.record({
      id: fc.constant('0123456789'),
      title: anyText,
      severity: fc.constant('warning'),
      startsAt: fc.nat(hour),
      acknowledgedBy: fc.option(anyText, { nil: undefined }),
    }),
    { maxLength: 80 },
  ),
  detectMs: fc.option(fc.nat(), { nil: undefined }),
  approveMs: fc.constant(undefined),
  fixMs: fc.constant(undefined),
  findings: fc.nat(),
  folded: fc.nat(),
  sounds: fc.nat(),
  manifest: fc.constant(undefined),
  pendingPlans: fc.array(fc.record({ title: anyText, createdAt: fc.nat(hour), expiresAt: fc.nat(hour) }), {
    maxLength: 30,
  }),
  runs: fc.array(
    fc.record({ playbook: anyText, hosts: anyText, status: fc.constant('verified'), outcome: fc.constant('fixed') }),
    { maxLength: 50 },
  ),
  spending: fc.array(
    fc.record({ provider: anyText, calls: fc.nat(), inputTokens: fc.nat(), outputTokens: fc.nat(), euro: fc.nat() }),
    { maxLength: 10 },
  ),
  capEuro: fc.constant(5),
  agents: fc.constant([]),
  journals: fc.constant([{ agent: 'triage', sequence: 7, head: 'ab'.repeat(32) }]),
  refusedMessages: fc.array(fc.record({ channel: anyText, error: anyText }), { maxLength: 20 }),
  setAside: fc.array(fc.record({ kind: anyText, count: fc.nat(), error: anyText }), { maxLength: 5 }),
  missedDays: fc.constant([]),
});

describe('the text', () => {
  test('fits into one message whatever happened, and always says what is open and where the journal ends', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const text = digestText(facts, 'UTC');
        expect(text.length).toBeLessThanOrEqual(maximumDigest);
        expect(text).toContain('Lares digest, 1970-01-01 00:00 to 1970-01-02 00:00');
      }),
      { numRuns: 50 },
    );
  });

  test('says how many lines were left out', () => {
    const [facts] = fc.sample(anyFacts, 1);
    if (facts === undefined) throw new Error('A sample has one entry');
    const opened = Array.from({ length: 200 }, (_, index) => ({
      title: `incident ${index} of the night`,
      severity: 'critical',
      state: 'closed',
      startsAt: index,
      endsAt: index,
    }));
    const text = digestText(
      { ...facts, opened, stillOpen: [], runs: [], pendingPlans: [], spending: [], refusedMessages: [], setAside: [] },
      'UTC',
    );
    expect(text).toMatch(/and \d+ more/);
    expect(text).toContain('triage 7 abab');
  });

  test('a median of nothing is nothing', () => {
    expect(median([])).toBeUndefined();
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });
});

describe('the night', () => {
  let story: Story;
  afterEach(() => story[Symbol.asyncDispose]());

  test('the digest comes at its time, once, to every channel and the bus, and is caught up after a downtime', async () => {
    story = await Story.begin({
      channels: ['chat', 'mail'],
      config: { hosts: { web: {} }, digest: { at: '12:30', timezone: 'UTC' } },
    });
    await story.fire({ name: 'http-down', host: 'web', severity: 'warning' });
    await story.bus.hear(manifest, {
      sentinel: 'home',
      sequence: 1,
      at: toInstant(story.clock.now() - 1),
      firing: [],
      counts: { checks: 41, hosts: 3, ok: 38, pending: 0, firing: 1, unknown: 2, stale: 0 },
      unseen: [{ reason: 'no read login', count: 2 }],
    });
    await story.clock.advance(31 * 60_000);
    const digests = story.chat.notices().filter((text) => text.startsWith('Lares digest'));
    expect(digests).toHaveLength(1);
    expect(digests[0]).toContain('1 incident is open.');
    expect(digests[0]).toContain('41 checks on 3 hosts: 38 ok');
    expect(digests[0]).toContain('could not check 2: no read login');
    expect(digests[0]).toContain('Models this month: 0.12 € of 5.00 €');
    expect(story.channels[1]?.notices().filter((text) => text.startsWith('Lares digest'))).toHaveLength(1);
    expect(story.bus.of(digest)).toHaveLength(1);
    await story.restart(3 * 24 * hour);
    await story.clock.advance(60_000);
    const caughtUp = story.chat.notices().filter((text) => text.startsWith('Lares digest'));
    expect(caughtUp).toHaveLength(2);
    expect(caughtUp[1]).toContain('the digest of 2026-11-21, 2026-11-22');
  });

  test('on demand it is there at once', async () => {
    story = await Story.begin();
    expect(await story.bus.ask('digest')).toMatchObject({ text: expect.stringContaining('Nothing is open.') });
    expect(await story.chat.command('digest')).toContain('nothing: no sentinel has reported yet');
  });
});
