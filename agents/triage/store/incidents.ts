import type { Store } from '#agents/runtime/store.ts';
import { Assessment } from '#bus/messages/assessment.ts';
import type { IncidentRecord } from '../incident/incident.ts';

interface TimelineEntry {
  at: number;
  kind: string;
  text: string;
}

export interface IncidentRows {
  save(incident: IncidentRecord): void;
  /** Those not closed, and those closed since then. */
  load(closedSince: number): IncidentRecord[];
  get(id: string): IncidentRecord | undefined;
  /** Ids of those closed since then, at most 10,000. */
  closedSince(at: number): string[];
  addTimeline(incident: string, entry: TimelineEntry): void;
  timeline(incident: string, limit: number): TimelineEntry[];
  saveAssessment(assessment: Assessment, root: string): void;
  assessment(incident: string): { assessment: Assessment; root: string } | undefined;
  logNotification(incident: string, entry: { at: number; reason: string; sound: boolean }): void;
  /** `targets` as `targetsOf` names them. */
  block(playbook: string, targets: readonly string[], why: { incident: string; at: number }): void;
  isBlocked(playbook: string, targets: readonly string[], when: { incident: string; since: number }): boolean;
}

export function incidentRows(rows: Store): IncidentRows {
  return {
    save: (incident) => saveIncident(rows, incident),
    load: (since) => read(rows.all(`SELECT record FROM incidents WHERE state <> 'closed' OR closed_at >= ?`, since)),
    get: (id) => read(rows.all('SELECT record FROM incidents WHERE id = ?', id))[0],
    closedSince(at) {
      const sql = `SELECT id FROM incidents WHERE state = 'closed' AND closed_at >= ? LIMIT 10000`;
      return rows.all(sql, at).map((row) => String(row['id']));
    },
    ...timelineRows(rows),
    ...assessmentRows(rows),
    ...blockRows(rows),
    logNotification(incident, { at, reason, sound }) {
      const sql = 'INSERT INTO notifications (incident, at, reason, sound) VALUES (?,?,?,?)';
      rows.run(sql, incident, at, reason, sound ? 1 : 0);
    },
  };
}

function saveIncident(rows: Store, incident: IncidentRecord): void {
  rows.run(
    `INSERT INTO incidents (id, state, starts_at, opened_at, ends_at, closed_at, members, record)
     VALUES (?,?,?,?,?,?,?,?)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, starts_at = excluded.starts_at,
       opened_at = COALESCE(opened_at, excluded.opened_at), ends_at = excluded.ends_at,
       closed_at = excluded.closed_at, members = MAX(members, excluded.members), record = excluded.record`,
    incident.id,
    incident.state,
    incident.startsAt,
    incident.state === 'open' ? incident.updatedAt : null,
    incident.endsAt ?? null,
    incident.closedAt ?? null,
    incident.members.length,
    JSON.stringify(incident),
  );
}

/** Written by `save` alone, so its shape is known. */
function read(found: Record<string, unknown>[]): IncidentRecord[] {
  return found.map((row) => JSON.parse(String(row['record'])) as IncidentRecord);
}

function timelineRows(rows: Store): Pick<IncidentRows, 'addTimeline' | 'timeline'> {
  return {
    addTimeline(incident, { at, kind, text }) {
      rows.run(
        'INSERT INTO timeline (incident, at, kind, text) VALUES (?,?,?,?)',
        incident,
        at,
        kind,
        text.slice(0, 4_000),
      );
    },
    timeline(incident, limit) {
      const found = rows.all(
        'SELECT at, kind, text FROM timeline WHERE incident = ? ORDER BY id DESC LIMIT ?',
        incident,
        limit,
      );
      return found
        .map((row) => ({ at: Number(row['at']), kind: String(row['kind']), text: String(row['text']) }))
        .toReversed();
    },
  };
}

function assessmentRows(rows: Store): Pick<IncidentRows, 'saveAssessment' | 'assessment'> {
  return {
    saveAssessment(assessment, root) {
      rows.run(
        `INSERT INTO assessments (incident, root, at, body) VALUES (?,?,?,?)
         ON CONFLICT (incident) DO UPDATE SET root = excluded.root, at = excluded.at, body = excluded.body`,
        assessment.incident,
        root,
        Date.parse(assessment.at),
        JSON.stringify(assessment),
      );
    },
    assessment(incident) {
      const row = rows.get('SELECT root, body FROM assessments WHERE incident = ?', incident);
      if (row === undefined) return undefined;
      const parsed = Assessment.safeParse(JSON.parse(String(row['body'])));
      return parsed.success ? { assessment: parsed.data, root: String(row['root']) } : undefined;
    },
  };
}

function blockRows(rows: Store): Pick<IncidentRows, 'block' | 'isBlocked'> {
  return {
    block(playbook, targets, { incident, at }) {
      const sql = 'INSERT OR REPLACE INTO blocks (playbook, target, incident, at) VALUES (?,?,?,?)';
      for (const target of targets) rows.run(sql, playbook, target, incident, at);
    },
    isBlocked(playbook, targets, { incident, since }) {
      const sql = 'SELECT 1 FROM blocks WHERE playbook = ? AND target = ? AND (incident = ? OR at >= ?)';
      return targets.some((target) => rows.get(sql, playbook, target, incident, since) !== undefined);
    },
  };
}
