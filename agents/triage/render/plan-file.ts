import { visibleLine, exactLine } from './visible.ts';
import { moment } from './moment.ts';
import type { Card, CardPlan } from '../channel.ts';

/** The plan as a text file, for when it does not fit on a card: everything that was asked for, nothing cut. */
export function planFile(card: Card, plan: CardPlan, timeZone: string | undefined): { name: string; text: string } {
  const lines = [
    `Plan      ${visibleLine(plan.id)}`,
    `Title     ${visibleLine(plan.title)}`,
    `Incident  ${visibleLine(card.incident)}: ${visibleLine(card.title)}`,
    `Risk      ${visibleLine(plan.risk)}`,
    `Expires   ${moment(plan.expiresAt, timeZone)}`,
    `SHA-256   ${visibleLine(plan.digest)}`,
    ...block('Reaches', plan.blastRadius.map(visibleLine)),
    ...block('Commands, exactly as they will run', plan.commands.map(exactLine)),
    ...block('Looks before and after, exactly as they will run', plan.looks.map(exactLine)),
    ...block('Rollback', plan.rollback.map(exactLine)),
  ];
  return { name: `plan-${fileName(plan.id)}.txt`, text: `${lines.join('\n')}\n` };
}

function block(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, '', ...lines.map((line) => `  ${line}`)];
}

function fileName(id: string): string {
  return id.replaceAll(/[^\w.-]/g, '_').slice(0, 60);
}
