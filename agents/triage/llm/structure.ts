import { z } from 'zod';
import type { Question } from './provider.ts';
import type { ProviderFailure } from './provider.ts';

/** The shape of an answer in words, for endpoints that cannot be trusted with a response format. */
export function shapeInWords(question: Question): string {
  const schema = JSON.stringify(z.toJSONSchema(question.shape, { io: 'input' }));
  return `Answer with exactly one JSON object and nothing else: no prose before or after it, no code fence. It must match this JSON schema:\n${schema}`;
}

/** An old or foreign endpoint that refuses the response format as such, rather than the question. */
export function refusesFormat(failure: ProviderFailure, text: string): boolean {
  const isClientError = failure.status === 400 || failure.status === 422 || failure.status === 501;
  return (
    isClientError && /response_format|output_config|output_format|json_schema|structured output|guided/i.test(text)
  );
}

/** Models that think aloud: what stands between the tags is not the answer. An unclosed thought leaves nothing. */
export function withoutThoughts(text: string): string {
  const closed = withoutClosedThoughts(text);
  // Some chat templates open the thought in the prompt, so that only its end is in the answer.
  const afterEnd = closed.split(/<\/(?:think|thinking|reasoning)>/i).at(-1) ?? '';
  return (afterEnd.split(/<(?:think|thinking|reasoning)>/i)[0] ?? '').trim();
}

/** In one walk: looking from each beginning for its end would cost a square of the length. */
function withoutClosedThoughts(text: string): string {
  const tags = [...text.matchAll(/<(\/?)(think|thinking|reasoning)>/gi)].map(
    ({ 0: tag, 1: slash, 2: name = '', index }) => ({
      name: name.toLowerCase(),
      isEnd: slash === '/',
      from: index,
      to: index + tag.length,
    }),
  );
  const lastEnds = new Map(tags.filter(({ isEnd }) => isEnd).map(({ name, from }) => [name, from]));
  const kept: string[] = [];
  let at = 0;
  let inside: string | undefined;
  for (const { name, isEnd, from, to } of tags) {
    if (inside !== undefined) {
      if (!isEnd || name !== inside) continue;
      inside = undefined;
      at = to;
    } else if (!isEnd && (lastEnds.get(name) ?? -1) > from) {
      kept.push(text.slice(at, from));
      inside = name;
    }
  }
  return [...kept, text.slice(at)].join('');
}

/** A count that an endpoint reports; anything else than a sane number is 0. */
export function tokenCount(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value)
    ? Math.min(Math.max(0, Math.round(value)), 100_000_000)
    : 0;
}

/** The first whole JSON object in a text: models wrap it in fences and courtesies. Undefined when there is none. */
export function jsonObjectIn(text: string): Record<string, unknown> | undefined {
  const whole = parsedObject(text.trim());
  if (whole !== undefined) return whole;
  for (const start of openings(text)) {
    const end = endOfObject(text, start);
    const found = end === undefined ? undefined : parsedObject(text.slice(start, end));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Few are tried: an answer of braces must not cost a square of its length. */
const maximumTries = 20;

function openings(text: string): number[] {
  const found: number[] = [];
  for (let at = text.indexOf('{'); at !== -1 && found.length < maximumTries; at = text.indexOf('{', at + 1)) {
    found.push(at);
  }
  return found;
}

function parsedObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** The index after the brace that closes the one at `start`, strings left out. */
function endOfObject(text: string, start: number): number | undefined {
  let depth = 0;
  let isString = false;
  for (let at = start; at < text.length; at += 1) {
    const character = text[at];
    if (isString) {
      if (character === '\\') at += 1;
      else if (character === '"') isString = false;
    } else if (character === '"') isString = true;
    else if (character === '{') depth += 1;
    else if (character === '}' && (depth -= 1) === 0) return at + 1;
  }
  return undefined;
}
