import { randomBytes } from 'node:crypto';
import type { Role } from '#config/people.ts';
import type { Store } from '#agents/runtime/store.ts';
import type { Person } from '../channel.ts';

/** A pairing link dies so long after it was made. */
const nonceLifeMs = 10 * 60_000;

interface PairedPerson {
  id: string;
  name: string;
  role: Role;
}

/**
 * One-time links between a chat account and a role. Triage notes who opened a link; the console, which made it and
 * runs as the owner of the machine, is who grants.
 */
export interface Pairing {
  begin(role: Role, now: number): { nonce: string; expiresAt: number };
  /** The first who opens a living link has it. */
  claim(nonce: string, person: Person, now: number): { role: Role } | undefined;
  claimed(nonce: string): PairedPerson | undefined;
}

export function createPairing(rows: Store): Pairing {
  return {
    begin(role, now) {
      const nonce = randomBytes(18).toString('base64url');
      const expiresAt = now + nonceLifeMs;
      rows.run('DELETE FROM pairing WHERE expires_at < ?', now - nonceLifeMs);
      rows.run(
        'INSERT INTO pairing (nonce, role, created_at, expires_at) VALUES (?,?,?,?)',
        nonce,
        role,
        now,
        expiresAt,
      );
      return { nonce, expiresAt };
    },
    claim(nonce, person, now) {
      const { changes } = rows.run(
        'UPDATE pairing SET person = ?, name = ?, used_at = ? WHERE nonce = ? AND used_at IS NULL AND expires_at > ?',
        person.id,
        person.name,
        now,
        nonce.slice(0, 64),
        now,
      );
      if (changes === 0) return undefined;
      return { role: roleOf(rows.get('SELECT role FROM pairing WHERE nonce = ?', nonce)) };
    },
    claimed(nonce) {
      const row = rows.get(
        'SELECT role, person, name FROM pairing WHERE nonce = ? AND used_at IS NOT NULL',
        nonce.slice(0, 64),
      );
      if (row === undefined) return undefined;
      return { id: String(row['person']), name: String(row['name']), role: roleOf(row) };
    },
  };
}

function roleOf(row: Record<string, unknown> | undefined): Role {
  const role = row?.['role'];
  return role === 'operator' || role === 'approver' ? role : 'reader';
}
