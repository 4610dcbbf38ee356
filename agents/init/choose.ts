import type { Proposal } from './proposal.ts';

/** What a person answered: what is chosen now, and whether to go on. */
export type Answer = { is: 'write' } | { is: 'quit' } | { is: 'again'; proposals: Proposal[]; unknown: string[] };

/** `2 5-7` toggles these, `all` and `none` choose, nothing writes, `q` leaves. */
export function answerOf(text: string, proposals: readonly Proposal[]): Answer {
  const words = text.toLowerCase().match(/[^\s,]+/g) ?? [];
  if (words.length === 0) return { is: 'write' };
  if (words[0] === 'q' || words[0] === 'quit') return { is: 'quit' };
  let chosen = proposals.map((one) => ({ ...one }));
  const unknown: string[] = [];
  for (const word of words) {
    const changed = changedBy(word, chosen);
    if (changed === undefined) unknown.push(word);
    else chosen = changed;
  }
  return { is: 'again', proposals: chosen, unknown };
}

function changedBy(word: string, proposals: readonly Proposal[]): Proposal[] | undefined {
  if (word === 'all' || word === 'none') return proposals.map((one) => ({ ...one, isSelected: word === 'all' }));
  const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word) ?? [];
  const first = Number(from);
  const last = Number(to);
  if (from === undefined || first < 1 || first > last || last > proposals.length) return undefined;
  return proposals.map((one, index) => {
    const isMeant = index + 1 >= first && index + 1 <= last;
    return isMeant ? { ...one, isSelected: !one.isSelected } : one;
  });
}
