import type { Desk } from './desk.ts';
import { aheadMs } from './intake/reconcile.ts';

/**
 * A clock that was ahead and is right again leaves times in the store that are still to come: a message would wait for
 * them, and what happens now would count as older than what is held. To be called inside a transaction.
 */
export function pullBack(desk: Desk): void {
  const { now, world } = desk;
  const { rows } = desk.store;
  let changed = 0;
  for (const [table, column] of columns) {
    const sql = `UPDATE ${table} SET ${column} = ? WHERE ${column} > ?`;
    changed += rows.run(sql, now - aheadMs, now + aheadMs).changes;
  }
  if (changed > 0) {
    world.reload(now);
    desk.log.warn({ rows: changed }, 'the clock was set back: what was to come much later is due now');
  }
  for (const { id, state, openAt, told } of world.incidents.values()) {
    if (state === 'grouping' && openAt > now + desk.config.triage.groupWait) desk.change(id, { type: 'opened' });
    if (told === undefined || Math.max(told.at, told.soundAt ?? 0) <= now) continue;
    const soundAt = told.soundAt === undefined ? undefined : Math.min(told.soundAt, now);
    desk.change(id, { type: 'told', told: { ...told, at: Math.min(told.at, now), soundAt } });
  }
}

const columns = [
  ['findings', 'starts_at'],
  ['findings', 'updated_at'],
  ['outbox', 'next_at'],
  ['proposals', 'next_at'],
  ['approvals', 'next_at'],
] as const;
