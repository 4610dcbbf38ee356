import { z } from 'zod';

function isPattern(text: string): boolean {
  try {
    return new RegExp(text, 'u').source !== '';
  } catch {
    return false;
  }
}

/** A regular expression in the configuration. */
export function patternOption() {
  return z.string().min(1).max(500).refine(isPattern, { error: 'must be a regular expression' });
}
