import type { CheckMemory, Observation } from '#agents/sentinel/check.ts';
import type { Container } from './containers.ts';
import { state } from './reading.ts';
import { remember, rememberedTexts } from './remembered.ts';

/** Whoever removed it on purpose knows by then. */
const toldForMs = 86_400_000;
const maximumRemembered = 300;

/**
 * Containers that Docker was to keep running and that are not there any more. A deployment removes one as well and makes
 * it anew at once, so the condition holds for a while before it is told, and is told for a day.
 */
export function rememberRemovals(
  memory: CheckMemory,
  containers: readonly Container[],
  of: { now: number; isWatched: (name: string) => boolean },
): Observation[] {
  const present = new Set(containers.map(({ name }) => name));
  const lasting = containers
    .filter(({ policy, status }) => (policy === 'always' || policy === 'unless-stopped') && status === 'running')
    .map(({ name }) => name);
  const before = rememberedTexts(memory, 'lasting') ?? [];
  const gone = new Map(removedIn(memory.get('removed')));
  for (const name of before) if (!present.has(name) && !gone.has(name)) gone.set(name, of.now);
  const kept = [...gone].filter(([name, at]) => !present.has(name) && of.now - at < toldForMs && of.isWatched(name));
  const stopped = before.filter((name) => present.has(name) && !lasting.includes(name));
  remember(memory, 'lasting', [...lasting, ...stopped].toSorted().slice(0, maximumRemembered));
  remember(memory, 'removed', kept.slice(0, maximumRemembered / 10));
  return kept.map(([name]) =>
    state({
      condition: 'container-removed',
      resource: name,
      labels: { container: name },
      summary: `${name} ran, was to be kept running, and does not exist any more`,
      ok: false,
      severity: 'warning',
    }),
  );
}

function removedIn(value: unknown): [string, number][] {
  if (!Array.isArray(value)) return [];
  return value.filter(
    (entry): entry is [string, number] =>
      Array.isArray(entry) && typeof entry[0] === 'string' && typeof entry[1] === 'number',
  );
}
