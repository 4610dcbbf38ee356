import type { Desk } from '../desk.ts';

const key = 'worker.obstacle';

/** Why the worker takes no approval, in words for the card; undefined when nothing is known against it. */
export function obstacleOf(desk: Desk): string | undefined {
  const text = desk.store.fact(key) ?? '';
  return text === '' ? undefined : text;
}

export function setObstacle(desk: Desk, obstacle: string | undefined): void {
  desk.store.setFact(key, obstacle ?? '');
}
