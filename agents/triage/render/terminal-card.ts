import { styleText } from 'node:util';
import { exactLine, visibleLine, visibleText } from './visible.ts';
import { moment, span } from './moment.ts';
import { wrap } from './wrap.ts';
import type { Button, Card, CardPlan } from '../channel.ts';

type Paint = (format: Parameters<typeof styleText>[0], text: string) => string;

/** How a terminal shows things. Contract: text from a card reaches the screen with no control character left in it. */
export interface TerminalStyle {
  paint: Paint;
  columns: number;
  timeZone: string | undefined;
}

export function painter(color: boolean): Paint {
  return color ? (format, text) => styleText(format, text, { validateStream: false }) : (_format, text) => text;
}

const severityColors = { critical: ['bold', 'red'], warning: ['bold', 'yellow'], info: ['bold', 'blue'] } as const;
const good = new Set(['fixed', 'resolved', 'closed']);

/** The word that is typed for a button. */
export const typed: Record<Button['action'], string> = {
  approve: 'approve',
  'dry-run': 'dry-run',
  reject: 'reject',
  acknowledge: 'ack',
  snooze: 'snooze',
  details: 'details',
  'ask-again': 'again',
};

function badge(card: Card, style: TerminalStyle): string {
  const mark = good.has(card.state) ? '✔' : '●';
  const color = good.has(card.state) ? (['bold', 'green'] as const) : severityColors[card.severity];
  return style.paint([...color], `${mark} ${visibleLine(card.state)}`);
}

/** The whole card, line by line. */
export function cardLines(card: Card, number: number, style: TerminalStyle): string[] {
  const { paint } = style;
  return [
    paint('dim', '─'.repeat(Math.max(10, Math.min(style.columns, 72)))),
    `${paint('bold', `#${number}`)}  ${badge(card, style)} ${paint('dim', `· ${card.severity} · ${visibleLine(card.incident)}`)}`,
    ...wrap(visibleLine(card.title), style.columns - 4).map((line) => `    ${paint('bold', line)}`),
    `    ${paint('dim', lifeTime(card, style.timeZone))}`,
    ...section('why', card.why, style),
    ...card.evidence.flatMap((item) => evidenceLines(item, number, style)),
    ...section('hangs on it', card.symptoms, style),
    ...opinionLines(card.assessment, style),
    ...(card.plan === undefined ? [] : planLines(card.plan, style)),
    ...section('news', card.news, style),
    ...buttonLines(card, number, style),
  ];
}

function lifeTime(card: Card, timeZone: string | undefined): string {
  const since = `since ${moment(card.since, timeZone)}`;
  if (card.endedAt === undefined) return since;
  return `${since}, ended ${moment(card.endedAt, timeZone)} after ${span(card.endedAt - card.since)}`;
}

function section(title: string, lines: readonly string[], style: TerminalStyle): string[] {
  if (lines.length === 0) return [];
  return ['', heading(title, style), ...lines.flatMap((line) => wrapped(visibleLine(line), style))];
}

function heading(title: string, style: TerminalStyle): string {
  return `  ${style.paint('cyan', title)}`;
}

function wrapped(text: string, style: TerminalStyle): string[] {
  return wrap(text, style.columns - 4, '  ').map((line) => `    ${line}`);
}

/** More of a piece is for those who ask for details. */
const evidenceShown = 8;

function evidenceLines(item: Card['evidence'][number], number: number, style: TerminalStyle): string[] {
  const gutter = style.paint('dim', '│');
  const more = item.lines.length - evidenceShown;
  const shown =
    more > 1 ? [...item.lines.slice(0, evidenceShown), `… ${more} more lines: details ${number}`] : item.lines;
  return [
    '',
    heading(`evidence · ${visibleLine(item.title)}`, style),
    ...shown.flatMap((text) => wrap(visibleLine(text), style.columns - 6).map((line) => `    ${gutter} ${line}`)),
  ];
}

function opinionLines(assessment: string | undefined, style: TerminalStyle): string[] {
  if (assessment === undefined || assessment.trim() === '') return [];
  const lines = visibleText(assessment).trim().split('\n');
  return ['', heading('opinion', style), ...lines.flatMap((line) => wrapped(line, style))];
}

/** Commands are never wrapped, so that what is copied from the screen is what runs. */
function planLines(plan: CardPlan, style: TerminalStyle): string[] {
  const { paint } = style;
  const command = (text: string): string => `    ${paint('green', '▌')} ${exactLine(text)}`;
  const reaches =
    plan.blastRadius.length === 0 ? [] : wrapped(`reaches ${plan.blastRadius.map(visibleLine).join(', ')}`, style);
  return [
    '',
    heading(`plan · ${visibleLine(plan.title)} · risk ${visibleLine(plan.risk)}`, style),
    ...plan.commands.map(command),
    ...(plan.looks.length === 0 ? [] : [`    ${paint('dim', 'looks before and after')}`, ...plan.looks.map(command)]),
    ...(plan.rollback.length === 0 ? [] : [`    ${paint('dim', 'rollback')}`, ...plan.rollback.map(command)]),
    ...reaches,
    `    ${paint('dim', `sha256 ${visibleLine(plan.digest)}`)}`,
    `    ${paint('dim', `expires ${moment(plan.expiresAt, style.timeZone)}`)}`,
  ];
}

function buttonLines(card: Card, number: number, style: TerminalStyle): string[] {
  const words = card.buttons.flat().map((button) => `${typed[button.action]} ${number}`);
  if (words.length === 0) return [];
  const shown = words.map((word) => style.paint('bold', word)).join(style.paint('dim', ' · '));
  return ['', `  ${style.paint('dim', 'type')}  ${shown}`];
}

/** What differs between two versions of a card, in as few lines as say it; nothing when nothing does. */
export function changeLines(change: { before: Card; after: Card; number: number }, style: TerminalStyle): string[] {
  const { before, after, number } = change;
  const added = <T>(past: readonly T[], now: readonly T[]): T[] => {
    const known = new Set(past.map((item) => JSON.stringify(item)));
    return now.filter((item) => !known.has(JSON.stringify(item)));
  };
  const news = added(before.news, after.news);
  const isNewPlan = after.plan !== undefined && after.plan.digest !== before.plan?.digest;
  const isNewOpinion = after.assessment !== before.assessment;
  const isNewChoice = JSON.stringify(actions(before)) !== JSON.stringify(actions(after));
  return [
    ...headChanges(before, after, style),
    ...news.flatMap((line) => wrap(visibleLine(line), style.columns - 16, '  ')),
    ...section('why', added(before.why, after.why), style),
    ...section('hangs on it', added(before.symptoms, after.symptoms), style),
    ...added(before.evidence, after.evidence).flatMap((item) => evidenceLines(item, number, style)),
    ...(isNewOpinion ? opinionLines(after.assessment, style) : []),
    ...(isNewPlan && after.plan ? planLines(after.plan, style) : []),
    ...(isNewPlan || isNewChoice ? buttonLines(after, number, style) : []),
  ];
}

function actions(card: Card): string[] {
  return card.buttons.flat().map((button) => button.action);
}

function headChanges(before: Card, after: Card, style: TerminalStyle): string[] {
  const lines: string[] = [];
  const stateChanged = before.state !== after.state || before.severity !== after.severity;
  if (stateChanged) lines.push(`${badge(after, style)} ${style.paint('dim', `· ${after.severity}`)}`);
  if (before.title !== after.title) lines.push(...wrap(visibleLine(after.title), style.columns - 16, '  '));
  if (after.endedAt !== undefined && before.endedAt === undefined) lines.push(lifeTime(after, style.timeZone));
  // A new state says by itself what became of the plan: it runs, or nothing is left to do.
  if (!stateChanged && before.plan !== undefined && after.plan === undefined) lines.push('the plan is no longer open');
  return lines;
}
