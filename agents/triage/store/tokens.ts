import { randomBytes } from 'node:crypto';
import type { Store } from '#agents/runtime/store.ts';
import type { Button } from '../channel.ts';

/** What a button stands for. `plan` is empty where the action is about the incident alone. */
export interface Token {
  action: Button['action'];
  incident: string;
  plan: string;
}

export interface TokenRows {
  /** 12 random base64url characters, the same for the same meaning: an edited card keeps its buttons. */
  tokenFor(meaning: Token, now: number): string;
  meaningOf(token: string): Token | undefined;
}

export function tokenRows(rows: Store): TokenRows {
  return {
    tokenFor({ action, incident, plan }, now) {
      const known = rows.get(
        'SELECT token FROM tokens WHERE action = ? AND incident = ? AND plan = ?',
        action,
        incident,
        plan,
      );
      if (known !== undefined) return String(known['token']);
      const token = randomBytes(9).toString('base64url');
      const sql = 'INSERT INTO tokens (token, action, incident, plan, created_at) VALUES (?,?,?,?,?)';
      rows.run(sql, token, action, incident, plan, now);
      return token;
    },
    meaningOf(token) {
      const row = rows.get('SELECT action, incident, plan FROM tokens WHERE token = ?', token.slice(0, 64));
      if (row === undefined) return undefined;
      // Written by `tokenFor` alone.
      return {
        action: String(row['action']) as Token['action'],
        incident: String(row['incident']),
        plan: String(row['plan']),
      };
    },
  };
}
