import { z } from 'zod';
import { scrub } from '#bus/scrub.ts';
import type { Veil } from './redact.ts';

/**
 * What a model is asked for. Every key is required and values are texts, because strict response formats allow neither
 * optional keys nor free ones.
 */
export const ModelAnswer = z.object({
  cause: z.string().describe('The most likely cause, one to three sentences.'),
  confidence: z.number().describe('From 0 to 1.'),
  evidence: z.array(z.number()).describe('Numbers of the evidence lines that carry the cause.'),
  playbook: z.string().nullable().describe('Id of the playbook that would end it, or null.'),
  parameters: z.array(z.object({ name: z.string(), value: z.string() })),
});

/** An answer that was read: real names, bounded, evidence by its lines. */
export interface ModelOpinion {
  cause: string;
  confidence: number;
  evidence: string[];
  playbook: string | undefined;
  parameters: Record<string, string>;
}

const maximumEvidence = 12;
/** What is read of an answer at all: it may be megabytes. */
const read = { cause: 8_000, evidence: 200, quotation: 1_000, parameters: 64 };

/** Reads an answer, forgiving in form and strict in substance. */
export function readAnswer(
  value: Record<string, unknown>,
  given: { evidence: readonly string[]; veil: Veil },
): { ok: true; value: ModelOpinion } | { ok: false; fault: string } {
  const parsed = ModelAnswer.safeParse(tidied(value, given.evidence));
  if (!parsed.success) return { ok: false, fault: z.prettifyError(parsed.error).slice(0, 600) };
  const { cause, confidence, evidence, playbook, parameters } = parsed.data;
  const text = scrub(given.veil.reveal(cause))
    .replaceAll(/\p{Cc}+/gu, ' ')
    .trim();
  if (text === '') return { ok: false, fault: '"cause" is empty' };
  if (!(confidence >= 0 && confidence <= 1)) return { ok: false, fault: '"confidence" must be a number from 0 to 1' };
  const lines = [...new Set(evidence)].map((number) => given.evidence[number - 1]).filter((line) => line !== undefined);
  return {
    ok: true,
    value: {
      cause: text.slice(0, 2_000),
      confidence,
      evidence: lines.slice(0, maximumEvidence).map((line) => line.slice(0, 600)),
      playbook: playbook === null || playbook === '' || playbook === 'null' ? undefined : playbook.slice(0, 128),
      parameters: Object.fromEntries(parameters.map(({ name, value }) => [name, given.veil.reveal(value)])),
    },
  };
}

/** Small models leave keys out, write objects for lists and quote lines instead of numbering them. */
function tidied(value: Record<string, unknown>, evidence: readonly string[]): Record<string, unknown> {
  const { cause, confidence } = value;
  const evidenceGiven = Array.isArray(value['evidence']) ? value['evidence'].slice(0, read.evidence) : [];
  return {
    ...value,
    cause: typeof cause === 'string' ? cause.slice(0, read.cause) : cause,
    confidence: typeof confidence === 'string' && confidence.trim() !== '' ? Number(confidence) : confidence,
    evidence: evidenceGiven.map((item) => lineNumber(item, evidence)).filter((number) => number > 0),
    playbook: value['playbook'] ?? null,
    parameters: pairs(value['parameters']),
  };
}

/** A quotation counts only when the evidence really holds it. */
function lineNumber(item: unknown, evidence: readonly string[]): number {
  if (typeof item === 'number') return item;
  if (typeof item !== 'string') return 0;
  const number = /^\W*(?:line |E)?(\d{1,4})\W*$/i.exec(item)?.[1];
  if (number !== undefined) return Number(number);
  const quoted = item.trim();
  return quoted.length < 8 || quoted.length > read.quotation
    ? 0
    : evidence.findIndex((line) => line.includes(quoted)) + 1;
}

function pairs(value: unknown): unknown {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) {
    return value
      .slice(0, read.parameters)
      .map((pair: unknown) =>
        pair !== null && typeof pair === 'object' && 'name' in pair && 'value' in pair
          ? { name: pair.name, value: asText(pair.value) }
          : pair,
      );
  }
  if (typeof value !== 'object') return value;
  return Object.entries(value)
    .slice(0, read.parameters)
    .map(([name, each]) => ({ name, value: asText(each) }));
}

function asText(value: unknown): unknown {
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
}
