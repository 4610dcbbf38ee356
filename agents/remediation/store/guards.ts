import type { Store } from '#agents/runtime/store.ts';
import { Freeze } from '#bus/messages/freeze.ts';
import { Run } from '#bus/messages/run.ts';

/** A playbook that did not help a target, and is not run there again until a person says so. */
export interface Block {
  playbook: string;
  target: string;
  host: string;
  run: string;
  reason: string;
  at: number;
}

export interface GuardRows {
  block(block: Block): void;
  blockOf(playbook: string, target: string): Block | undefined;
  blocks(): Block[];
  /** Removes blocks; without `host` on all hosts. Returns how many. */
  unblock(playbook: string, host: string | undefined): number;
  freeze(): { freeze: Freeze; effectiveAt: number } | undefined;
  saveFreeze(freeze: Freeze, effectiveAt: number): void;
  /** Thaws that were judged, by digest: each counts at most once. */
  rememberThaw(digest: string, at: number): void;
  knowsThaw(digest: string): boolean;
  /** Those said before `before` are refused for that alone. */
  forgetThaws(before: number): void;
  /** False when an order with this nonce was used. */
  useOrder(nonce: string, expiresAt: number): boolean;
  forgetOrders(expiredBefore: number): void;
  /** What is told of an approval that a guard refused; at most one per plan. */
  saveRefusal(run: Run, now: number): void;
  refusals(): Run[];
  /** Refusals told before `before`, by the id of their run. */
  overdueRefusals(before: number): string[];
  dropRefusal(run: string): void;
}

export function guardRows(rows: Store): GuardRows {
  return { ...blockRows(rows), ...freezeRows(rows), ...orderRows(rows), ...refusalRows(rows) };
}

function blockRows(rows: Store): Pick<GuardRows, 'block' | 'blockOf' | 'blocks' | 'unblock'> {
  const blockOf = (row: Record<string, unknown>): Block => ({
    playbook: String(row['playbook']),
    target: String(row['target']),
    host: String(row['host']),
    run: String(row['run']),
    reason: String(row['reason']),
    at: Number(row['at']),
  });
  return {
    block({ playbook, target, host, run, reason, at }) {
      const sql = 'INSERT OR REPLACE INTO blocks (playbook, target, host, run, reason, at) VALUES (?,?,?,?,?,?)';
      rows.run(sql, playbook, target, host, run, reason, at);
    },
    blockOf(playbook, target) {
      const row = rows.get('SELECT * FROM blocks WHERE playbook = ? AND target = ?', playbook, target);
      return row && blockOf(row);
    },
    blocks: () => rows.all('SELECT * FROM blocks ORDER BY at').map(blockOf),
    unblock(playbook, host) {
      return host === undefined
        ? rows.run('DELETE FROM blocks WHERE playbook = ?', playbook).changes
        : rows.run('DELETE FROM blocks WHERE playbook = ? AND host = ?', playbook, host).changes;
    },
  };
}

function freezeRows(
  rows: Store,
): Pick<GuardRows, 'freeze' | 'saveFreeze' | 'rememberThaw' | 'knowsThaw' | 'forgetThaws'> {
  return {
    freeze() {
      const row = rows.get('SELECT body, effective_at FROM freeze WHERE id = 1');
      if (row === undefined) return undefined;
      return { freeze: Freeze.parse(JSON.parse(String(row['body']))), effectiveAt: Number(row['effective_at']) };
    },
    saveFreeze(freeze, effectiveAt) {
      const sql = 'INSERT OR REPLACE INTO freeze (id, body, effective_at) VALUES (1,?,?)';
      rows.run(sql, JSON.stringify(freeze), effectiveAt);
    },
    rememberThaw: (digest, at) => void rows.run('INSERT OR IGNORE INTO thaws (digest, at) VALUES (?,?)', digest, at),
    knowsThaw: (digest) => rows.get('SELECT 1 FROM thaws WHERE digest = ?', digest) !== undefined,
    forgetThaws: (before) => void rows.run('DELETE FROM thaws WHERE at < ?', before),
  };
}

function orderRows(rows: Store): Pick<GuardRows, 'useOrder' | 'forgetOrders'> {
  return {
    useOrder(nonce, expiresAt) {
      const sql = 'INSERT OR IGNORE INTO orders (nonce, expires_at) VALUES (?,?)';
      return rows.run(sql, nonce, expiresAt).changes > 0;
    },
    forgetOrders: (expiredBefore) => void rows.run('DELETE FROM orders WHERE expires_at < ?', expiredBefore),
  };
}

function refusalRows(rows: Store): Pick<GuardRows, 'saveRefusal' | 'refusals' | 'overdueRefusals' | 'dropRefusal'> {
  return {
    saveRefusal(run, now) {
      const sql = 'INSERT OR REPLACE INTO refusals (plan, body, at) VALUES (?,?,?)';
      rows.run(sql, run.plan, JSON.stringify(run), now);
    },
    refusals: () => rows.all('SELECT body FROM refusals').map((row) => Run.parse(JSON.parse(String(row['body'])))),
    overdueRefusals(before) {
      const all = rows.all('SELECT body FROM refusals WHERE at < ?', before);
      return all.map((row) => Run.parse(JSON.parse(String(row['body']))).id);
    },
    dropRefusal: (run) => void rows.run(`DELETE FROM refusals WHERE json_extract(body, '$.id') = ?`, run),
  };
}
