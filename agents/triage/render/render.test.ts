import { describe, expect, test } from 'vitest';
import {
  property,
  assert as check,
  array,
  constantFrom,
  integer,
  oneof,
  option,
  record,
  string,
  type Arbitrary,
} from 'fast-check';
import { parseHtml } from '../../../test/parts/telegram-html.ts';
import { card as plainCard } from '../../../test/parts/telegram-stage.ts';
import type { Card } from '../channel.ts';
import { lengthOf, toHtml, toPlain, withoutLinks } from './html.ts';
import { partsOf } from './parts.ts';
import { planFile } from './plan-file.ts';
import { cardLines, changeLines, painter } from './terminal-card.ts';
import { layoutCard, textLimit } from './telegram-card.ts';
import { cut, exactLine, linesWithin, visibleLine, visibleText } from './visible.ts';
import { cells, wrap } from './wrap.ts';

const nasty = constantFrom(
  '<b>',
  '</b>',
  '</pre><a href="https://evil">',
  '&lt;',
  '&',
  '<',
  '>',
  '"',
  '_*[](~`',
  '\u001B[31m',
  '\u001B]0;x\u0007',
  '\u009B2J',
  '\u0000',
  '\n',
  '\r',
  '\t',
  '\u202E',
  '\u2066',
  '\u200B',
  '\u2028',
  '\uFEFF',
  '😀',
  '👩‍👩‍👧',
  '\uD83D',
  'é',
  '日本語',
  '/unfreeze',
  '@admin',
  'e\u0301\u0301\u0301\u0301\u0301\u0301',
  'x'.repeat(700),
  '🔴'.repeat(300),
  '\u{E0041}',
  '&amp;'.repeat(200),
);
const text = oneof(
  string({ unit: 'binary', maxLength: 60 }),
  array(oneof(nasty, string({ maxLength: 12 })), { maxLength: 12 }).map((parts) => parts.join('')),
);
const lines = (maxLength: number): Arbitrary<string[]> => array(text, { maxLength });
const time = integer({ min: 0, max: 4_000_000_000_000 });

const anyCard: Arbitrary<Card> = record({
  incident: text,
  state: oneof(constantFrom('firing', 'fixed'), text),
  severity: constantFrom('info', 'warning', 'critical'),
  title: text,
  since: time,
  endedAt: option(time, { nil: undefined }),
  why: lines(12),
  evidence: array(record({ title: text, lines: lines(20) }), { maxLength: 5 }),
  symptoms: lines(20),
  assessment: option(text, { nil: undefined }),
  plan: option(
    record({
      id: text,
      title: text,
      risk: text,
      commands: lines(15),
      looks: lines(6),
      rollback: lines(8),
      digest: text,
      blastRadius: lines(9),
      expiresAt: time,
    }),
    { nil: undefined },
  ),
  news: lines(12),
  buttons: array(
    array(record({ action: constantFrom('approve', 'reject', 'details'), label: text, token: text }), { maxLength: 2 }),
    { maxLength: 2 },
  ),
});

const hidden = /(?!\n)[\p{Cc}\p{Cs}\p{Bidi_Control}\u{200B}-\u{200F}\u{2028}\u{2029}\u{2061}-\u{206F}\u{FEFF}]/u;

describe('a card for Telegram', () => {
  test('any card is within the limit, is valid HTML and shows exactly the text that was laid out', () => {
    check(
      property(anyCard, constantFrom(true, false), (card, fileSent) => {
        const { spans } = layoutCard(card, { timeZone: 'UTC', fileSent });
        const parsed = parseHtml(toHtml(spans));
        expect(parsed.text).toBe(toPlain(spans));
        expect(parsed.text.length).toBe(lengthOf(spans));
        expect(parsed.text.length).toBeLessThanOrEqual(textLimit);
        expect(parsed.text).not.toMatch(hidden);
        expect(parsed.entities).toHaveLength(
          spans.filter(({ style, text }) => style !== 'plain' && text !== '').length,
        );
      }),
      { numRuns: 400 },
    );
  });

  test('commands, looks and rollback stand whole on the card or not at all', () => {
    check(
      property(anyCard, (card) => {
        const { spans, plan } = layoutCard(card, { timeZone: 'UTC', fileSent: true });
        const shown = new Set(spans.filter(({ style }) => style === 'pre').map((span) => span.text));
        const { commands = [], looks = [], rollback = [] } = card.plan ?? {};
        const blocks = [commands, looks, rollback].filter((block) => block.length > 0);
        const missing = blocks.filter((block) => !shown.has(block.map(exactLine).join('\n')));
        expect(plan === 'whole' ? missing : []).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('the file of a plan holds every command on a line of its own', () => {
    check(
      property(anyCard, (card) => {
        if (card.plan === undefined) return;
        const file = planFile(card, card.plan, 'UTC');
        expect(file.text).not.toMatch(hidden);
        expect(file.name).toMatch(/^plan-[\w.-]*\.txt$/);
        for (const command of [...card.plan.commands, ...card.plan.looks])
          expect(file.text).toContain(`\n  ${exactLine(command)}\n`);
      }),
    );
  });
});

describe('a card for a terminal', () => {
  const style = { paint: painter(false), columns: 60, timeZone: 'UTC' };

  test('any card has no control character, and no text makes a line of its own', () => {
    check(
      property(anyCard, (card) => {
        const shown = cardLines(card, 1, style);
        for (const line of shown) {
          expect(line).not.toMatch(hidden);
          expect(line).not.toContain('\n');
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a long piece of evidence is begun, and says where the rest of it is', () => {
    const lines = Array.from({ length: 30 }, (_, index) => `line ${index}`);
    const shown = cardLines({ ...plainCard, evidence: [{ title: 'Log', lines }] }, 7, style).join('\n');
    expect(shown).toMatch(/│ line 7\n    │ … 22 more lines: details 7\n/);
    expect(shown).not.toContain('line 8');
  });

  test('a card that did not change has nothing to tell', () => {
    check(
      property(anyCard, (card) => {
        expect(changeLines({ before: card, after: structuredClone(card), number: 1 }, style)).toEqual([]);
      }),
    );
  });

  test('what changed has no control character either', () => {
    check(
      property(anyCard, anyCard, (before, after) => {
        for (const line of changeLines({ before, after, number: 1 }, style)) expect(line).not.toMatch(hidden);
      }),
    );
  });

  test('wrapped lines fit and lose nothing but spaces', () => {
    check(
      property(text, integer({ min: 8, max: 60 }), (raw, width) => {
        const line = visibleLine(raw);
        const wrapped = wrap(line, width, '  ');
        expect(wrapped.map((part) => part.replaceAll(' ', '')).join('')).toBe(line.replaceAll(' ', ''));
        for (const part of wrapped) expect(cells(part.trimEnd())).toBeLessThanOrEqual(width);
      }),
      { numRuns: 300 },
    );
  });
});

describe('untrusted text', () => {
  test('nothing hidden is left, and looking twice changes nothing', () => {
    check(
      property(text, (raw) => {
        expect(visibleText(raw)).not.toMatch(hidden);
        expect(visibleLine(raw)).not.toContain('\n');
        expect(visibleText(visibleText(raw))).toBe(visibleText(raw));
        expect(exactLine(raw)).not.toMatch(hidden);
        expect(exactLine(raw)).not.toContain('\n');
      }),
      { numRuns: 500 },
    );
  });

  test('colours of a log vanish, a lone escape and a direction override become visible', () => {
    expect(visibleText('\u001B[31mred\u001B[0m \u001B]0;title\u0007x')).toBe('red x');
    expect(visibleText('\u001B]8;;http://x\u001B\\link\u001B]8;;\u001B\\ \u009B1mx\u001B(B')).toBe('link x');
    expect(visibleText('a\u001Bb \u202Egpj.exe')).toBe('a␛b �gpj.exe');
    expect(visibleLine('one\ntwo')).toBe('one␊two');
    expect(exactLine('rm \u202Ea\nb')).toBe('rm \\u{202e}a\\u{a}b');
  });

  test.each(['\u001B]', '\u001B]8;;', '\u009D', '\u001B[', '\u001B[1;', '\u0301', '\u001B[0'])(
    'a long text of beginnings that end nowhere is looked at once: %j',
    (beginning) => {
      const start = performance.now();
      visibleText(beginning.repeat(100_000));
      expect(performance.now() - start).toBeLessThan(10_000);
    },
  );

  test('a cut is within its length and tears no pair', () => {
    check(
      property(text, integer({ min: 1, max: 80 }), (raw, length) => {
        const whole = visibleText(raw);
        expect(cut(whole, length).length).toBeLessThanOrEqual(length);
        expect(cut(whole, length).isWellFormed()).toBe(true);
      }),
    );
  });

  test('lines stay within their budget and say how many are missing', () => {
    check(
      property(lines(20), integer({ min: -5, max: 400 }), (raw, budget) => {
        const kept = linesWithin(raw.map(visibleLine), budget);
        expect(kept.reduce((sum, line) => sum + line.length + 1, 0)).toBeLessThanOrEqual(Math.max(0, budget));
      }),
    );
    expect(linesWithin(['aaaa', 'bbbb', 'cccc', 'dddd'], 20)).toEqual(['aaaa', '… and 3 more']);
  });

  test('commands and mentions are taken apart, paths and addresses stay', () => {
    expect(withoutLinks('tap /unfreeze or @admin')).toBe('tap /\u2060unfreeze or @\u2060admin');
    expect(withoutLinks('/etc/hosts of root@pve1, 3/4, https://a.b/c')).toBe(
      '/etc/hosts of root@pve1, 3/4, https://a.b/c',
    );
  });

  test('a long text comes in parts that fit', () => {
    check(
      property(lines(30), (raw) => {
        const parts = partsOf(raw.map(visibleText).join('\n'), 200, 4);
        expect(parts.length).toBeLessThanOrEqual(4);
        for (const part of parts) {
          expect(part.length).toBeLessThanOrEqual(200);
          expect(part.isWellFormed()).toBe(true);
        }
      }),
    );
  });
});
