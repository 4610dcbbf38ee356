import { journalMigration } from '#bus/journal.ts';

/** Applied in order, once each. Never edit one that has shipped. Times are epoch ms. */
export const triageMigrations: readonly string[] = [
  `CREATE TABLE inbox (
     seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, body TEXT NOT NULL, received_at INTEGER NOT NULL,
     error TEXT) STRICT;
   CREATE TABLE findings (
     fingerprint TEXT NOT NULL, occurrence TEXT NOT NULL, status TEXT NOT NULL, host TEXT, severity TEXT NOT NULL,
     starts_at INTEGER NOT NULL, ends_at INTEGER, updated_at INTEGER NOT NULL, seen_at INTEGER NOT NULL,
     sentinel TEXT, settled_at INTEGER, body TEXT NOT NULL,
     PRIMARY KEY (fingerprint, occurrence)) STRICT, WITHOUT ROWID;
   CREATE INDEX findings_firing ON findings (status) WHERE status = 'firing';
   CREATE INDEX findings_seen ON findings (seen_at);
   CREATE TABLE incidents (
     id TEXT PRIMARY KEY, state TEXT NOT NULL, starts_at INTEGER NOT NULL, opened_at INTEGER, ends_at INTEGER,
     closed_at INTEGER, members INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
   CREATE INDEX incidents_open ON incidents (state) WHERE state <> 'closed';
   CREATE INDEX incidents_starts ON incidents (starts_at);
   CREATE TABLE timeline (
     id INTEGER PRIMARY KEY, incident TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL) STRICT;
   CREATE INDEX timeline_incident ON timeline (incident, id);
   CREATE TABLE assessments (
     incident TEXT PRIMARY KEY, root TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
   CREATE TABLE notifications (
     id INTEGER PRIMARY KEY, incident TEXT NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL,
     sound INTEGER NOT NULL) STRICT;
   CREATE INDEX notifications_at ON notifications (at);
   CREATE TABLE outbox (
     channel TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, silent INTEGER NOT NULL, version INTEGER NOT NULL,
     sent_version INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
     next_at INTEGER NOT NULL, reference TEXT, shown_plan TEXT, error TEXT, told_failure INTEGER NOT NULL DEFAULT 0,
     created_at INTEGER NOT NULL, sent_at INTEGER, PRIMARY KEY (channel, key)) STRICT;
   CREATE INDEX outbox_next ON outbox (channel, silent, created_at) WHERE state = 'queued';
   CREATE INDEX outbox_due ON outbox (channel, next_at) WHERE state = 'queued';
   CREATE TABLE tokens (
     token TEXT PRIMARY KEY, action TEXT NOT NULL, incident TEXT NOT NULL, plan TEXT NOT NULL,
     created_at INTEGER NOT NULL, UNIQUE (action, incident, plan)) STRICT;
   CREATE TABLE proposals (
     id TEXT PRIMARY KEY, incident TEXT, body TEXT NOT NULL, state TEXT NOT NULL, created_at INTEGER NOT NULL,
     attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL) STRICT;
   CREATE TABLE plans (
     id TEXT PRIMARY KEY, proposal TEXT NOT NULL, incident TEXT, status TEXT NOT NULL, created_at INTEGER NOT NULL,
     redraw_at INTEGER, body TEXT NOT NULL) STRICT;
   CREATE INDEX plans_incident ON plans (incident);
   CREATE INDEX plans_redraw ON plans (redraw_at) WHERE redraw_at IS NOT NULL;
   CREATE TABLE approvals (
     id TEXT PRIMARY KEY, plan TEXT NOT NULL UNIQUE, decision TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
     state TEXT NOT NULL, decided_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
     attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL) STRICT;
   CREATE TABLE runs (
     id TEXT PRIMARY KEY, plan TEXT NOT NULL, incident TEXT, status TEXT NOT NULL, started_at INTEGER,
     updated_at INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
   CREATE TABLE verdicts (run TEXT PRIMARY KEY, incident TEXT, outcome TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
   CREATE TABLE blocks (
     playbook TEXT NOT NULL, target TEXT NOT NULL, incident TEXT NOT NULL, at INTEGER NOT NULL,
     PRIMARY KEY (playbook, target, incident)) STRICT;
   CREATE TABLE manifests (
     sentinel TEXT PRIMARY KEY, at INTEGER NOT NULL, sequence INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
   CREATE TABLE agents (agent TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
   CREATE TABLE pairing (
     nonce TEXT PRIMARY KEY, role TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
     person TEXT, name TEXT, used_at INTEGER) STRICT;
   CREATE TABLE digests (day TEXT PRIMARY KEY, at INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
   CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`,
  journalMigration,
  `ALTER TABLE outbox ADD COLUMN first_sent_at INTEGER;
   UPDATE outbox SET first_sent_at = sent_at WHERE sent_version > 0;
   CREATE INDEX approvals_waiting ON approvals (next_at) WHERE state = 'waiting';
   CREATE INDEX proposals_waiting ON proposals (next_at) WHERE state = 'waiting';`,
  // In the first stores the index had another name, plans had no redraw_at, and blocks named a host: what came before
  // may look either way, so only columns that both have are named, or taken by their place.
  `DROP INDEX IF EXISTS outbox_waiting;
   CREATE INDEX IF NOT EXISTS outbox_next ON outbox (channel, silent, created_at) WHERE state = 'queued';
   CREATE INDEX IF NOT EXISTS outbox_due ON outbox (channel, next_at) WHERE state = 'queued';
   ALTER TABLE plans RENAME TO plans_before;
   DROP INDEX plans_incident;
   DROP INDEX IF EXISTS plans_redraw;
   CREATE TABLE plans (
     id TEXT PRIMARY KEY, proposal TEXT NOT NULL, incident TEXT, status TEXT NOT NULL, created_at INTEGER NOT NULL,
     redraw_at INTEGER, body TEXT NOT NULL) STRICT;
   CREATE INDEX plans_incident ON plans (incident);
   CREATE INDEX plans_redraw ON plans (redraw_at) WHERE redraw_at IS NOT NULL;
   INSERT INTO plans (id, proposal, incident, status, created_at, redraw_at, body)
     SELECT id, proposal, incident, status, created_at,
       iif(status = 'pending', unixepoch(json_extract(body, '$.expiresAt')) * 1000, NULL), body FROM plans_before;
   DROP TABLE plans_before;
   ALTER TABLE blocks RENAME TO blocks_before;
   CREATE TABLE blocks (
     playbook TEXT NOT NULL, target TEXT NOT NULL, incident TEXT NOT NULL, at INTEGER NOT NULL,
     PRIMARY KEY (playbook, target, incident)) STRICT;
   INSERT INTO blocks SELECT * FROM blocks_before;
   DROP TABLE blocks_before;`,
];
