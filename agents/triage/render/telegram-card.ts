import { cut, exactLine, linesWithin, visibleLine, visibleText } from './visible.ts';
import { lengthOf, withoutLinks, type Span } from './html.ts';
import { moment, span } from './moment.ts';
import type { Card, CardPlan } from '../channel.ts';

/** Telegram refuses texts over 4096 characters, counted after its entities are parsed. */
export const textLimit = 4_096;

/** What a plan must leave for the facts; a longer one travels as a file. */
const roomForFacts = 1_200;

interface CardLayout {
  spans: Span[];
  /** `whole`: every command and rollback stands in the text. `file`: they are in the plan's file and nowhere else. */
  plan: 'none' | 'whole' | 'file';
}

/**
 * A card as one Telegram message. Contract: never over the limit, whatever the card holds; commands stand whole or not
 * at all. When room is short evidence goes first, then what hangs on it, then the opinion.
 */
export function layoutCard(card: Card, options: { timeZone?: string | undefined; fileSent: boolean }): CardLayout {
  const head = headSpans(card, options.timeZone);
  const whole = card.plan === undefined ? [] : planSpans(card.plan, options.timeZone);
  const fits = lengthOf(head) + lengthOf(whole) <= textLimit - roomForFacts;
  const plan = card.plan === undefined ? 'none' : fits ? 'whole' : 'file';
  const middle = plan === 'file' && card.plan ? fileSpans(card.plan, { ...options }) : whole;
  const facts = factSpans(card, textLimit - lengthOf(head) - lengthOf(middle));
  return { spans: [...head, ...facts.before, ...middle, ...facts.news], plan };
}

/** One line that is safe in running text. */
function line(text: string, length = 300): string {
  return cut(withoutLinks(visibleLine(text)), length);
}

const icons: Record<string, string> = {
  acknowledged: '👀',
  fixing: '🔧',
  fixed: '✅',
  resolved: '✅',
  closed: '✅',
  'not-fixed': '❗',
};
const severityIcons = { critical: '🔴', warning: '🟠', info: '🔵' } as const;

function headSpans(card: Card, timeZone: string | undefined): Span[] {
  const icon = icons[card.state] ?? severityIcons[card.severity];
  const ended =
    card.endedAt === undefined
      ? ''
      : `, ended ${moment(card.endedAt, timeZone)} after ${span(card.endedAt - card.since)}`;
  return [
    { style: 'plain', text: `${icon} ` },
    { style: 'bold', text: line(card.title) },
    { style: 'plain', text: `\n${line(card.state, 40)} · ${card.severity} · ${line(card.incident, 128)}\n` },
    { style: 'plain', text: `since ${moment(card.since, timeZone)}${ended}\n` },
  ];
}

function planSpans(plan: CardPlan, timeZone: string | undefined): Span[] {
  return [
    ...planTitle(plan),
    { style: 'pre', text: plan.commands.map(exactLine).join('\n') },
    ...exactBlock('Looks before and after', plan.looks),
    ...exactBlock('Rollback', plan.rollback),
    ...planEnd(plan, timeZone),
  ];
}

function exactBlock(title: string, lines: readonly string[]): Span[] {
  if (lines.length === 0) return [];
  return [
    { style: 'plain', text: `\n${title}\n` },
    { style: 'pre', text: lines.map(exactLine).join('\n') },
  ];
}

function fileSpans(plan: CardPlan, options: { timeZone?: string | undefined; fileSent: boolean }): Span[] {
  const count = `${plan.commands.length + plan.looks.length} commands`;
  const note = options.fileSent
    ? `${count}: too long to show here, they are in the file above`
    : `${count}: too long to show here and the file with them could not be sent, so this cannot be approved here`;
  return [...planTitle(plan), { style: 'italic', text: note }, ...planEnd(plan, options.timeZone)];
}

function planTitle(plan: CardPlan): Span[] {
  return [
    { style: 'bold', text: '\nPlan' },
    { style: 'plain', text: ` ${line(plan.title, 200)} · risk ${line(plan.risk, 40)}\n` },
  ];
}

function planEnd(plan: CardPlan, timeZone: string | undefined): Span[] {
  const reaches = linesWithin(plan.blastRadius.map(visibleLine), 200, 60).map((name) => line(name, 70));
  return [
    { style: 'plain', text: reaches.length === 0 ? '\n' : `\nreaches ${reaches.join(', ')}\n` },
    { style: 'plain', text: 'sha256 ' },
    { style: 'code', text: cut(visibleLine(plan.digest), 64) },
    { style: 'plain', text: `\nexpires ${moment(plan.expiresAt, timeZone)}\n` },
  ];
}

/** Fills what room is left: news first, because it is what changed, then causes, opinion, symptoms, evidence. */
function factSpans(card: Card, room: number): { before: Span[]; news: Span[] } {
  let left = room;
  const take = (spans: Span[]): Span[] => {
    left -= lengthOf(spans);
    return spans;
  };
  const news = take(newsSpans(card.news, Math.min(left, 800)));
  const why = take(listSpans('Why', card.why, Math.min(left, 1_000)));
  const opinion = take(opinionSpans(card.assessment, Math.min(left, 900)));
  const symptoms = take(listSpans('Hangs on it', card.symptoms, Math.min(left, 500)));
  const evidence: Span[] = [];
  for (const item of card.evidence.slice(0, 8)) evidence.push(...take(evidenceSpans(item, Math.min(left, 900))));
  return { before: [...why, ...symptoms, ...opinion, ...evidence], news };
}

function listSpans(title: string, lines: readonly string[], room: number): Span[] {
  if (lines.length === 0) return [];
  const heading = `\n${title}`;
  const kept = linesWithin(
    lines.map((text) => `• ${withoutLinks(visibleLine(text))}`),
    room - heading.length - 1,
  );
  if (kept.length === 0) return [];
  return [
    { style: 'bold', text: heading },
    { style: 'plain', text: `\n${kept.join('\n')}\n` },
  ];
}

/** The newest lines win. One may hold a line of sudoers, which is no use when it is cut. */
function newsSpans(news: readonly string[], room: number): Span[] {
  let kept = news.slice(-8).map((text) => line(text, 600));
  const size = (): number => kept.reduce((sum, text) => sum + text.length + 3, 8);
  while (kept.length > 0 && size() > room) kept = kept.slice(1);
  if (kept.length === 0) return [];
  return [
    { style: 'bold', text: '\nNews' },
    { style: 'plain', text: `\n${kept.map((text) => `• ${text}`).join('\n')}` },
  ];
}

function opinionSpans(assessment: string | undefined, room: number): Span[] {
  const heading = '\nOpinion';
  const text = cut(withoutLinks(visibleText(assessment ?? '')).trim(), Math.max(0, room - heading.length - 2));
  if (text.length < 2) return [];
  return [
    { style: 'bold', text: heading },
    { style: 'plain', text: '\n' },
    { style: 'italic', text },
    { style: 'plain', text: '\n' },
  ];
}

function evidenceSpans(item: Card['evidence'][number], room: number): Span[] {
  const heading = `\n${line(item.title, 100)}`;
  const kept = linesWithin(item.lines.map(visibleLine), room - heading.length - 2, 200);
  if (kept.length === 0) return [];
  return [
    { style: 'bold', text: heading },
    { style: 'plain', text: '\n' },
    { style: 'pre', text: kept.join('\n') },
    { style: 'plain', text: '\n' },
  ];
}
