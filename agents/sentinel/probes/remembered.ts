import type { CheckMemory } from '#agents/sentinel/check.ts';

/** Keeps a value; an unchanged one costs the store nothing. */
export function remember(memory: CheckMemory, key: string, value: unknown): void {
  if (JSON.stringify(memory.get(key)) !== JSON.stringify(value)) memory.set(key, value);
}

/** What memory holds as a list of texts; undefined when it holds no list. */
export function rememberedTexts(memory: CheckMemory, key: string): string[] | undefined {
  const value = memory.get(key);
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : undefined;
}
