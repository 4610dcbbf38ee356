import { randomBytes } from 'node:crypto';
import type { Desk } from '../desk.ts';
import { type Placement, type Standing, groupsOf, placeGroups } from './grouping.ts';
import { type IncidentRecord, beginIncident, holds } from './incident.ts';
import { reopenWindowMs } from '../world.ts';

/** Puts every firing finding into the incident where it belongs, and ends the incidents that hold none any more. */
export function arrange(desk: Desk): void {
  const groups = groupsOf(desk.world.firing(), desk.inventory);
  const standings = standingsOf(desk.world.incidents.values());
  const placed = new Set<string>();
  const recent = [...desk.world.incidents.values()].filter((incident) => isReopenable(incident, desk.now));
  for (const placement of placeGroups(groups, standings)) {
    const id = place(desk, placement, recent);
    placed.add(id);
    const into = desk.world.incident(id);
    for (const merged of placement.merged) {
      placed.add(merged);
      desk.change(merged, { type: 'merged', into: { id, title: into?.title ?? id } });
    }
  }
  for (const standing of standings) {
    if (!placed.has(standing.id)) desk.change(standing.id, { type: 'recovered' });
  }
  desk.moved.clear();
}

function standingsOf(incidents: Iterable<IncidentRecord>): Standing[] {
  const standings: Standing[] = [];
  for (const incident of incidents) {
    if (incident.state !== 'grouping' && incident.state !== 'open') continue;
    standings.push({
      id: incident.id,
      sticky: incident.state === 'open',
      root: incident.root,
      members: incident.members.map((member) => member.fingerprint),
      startsAt: incident.startsAt,
    });
  }
  return standings;
}

function place(desk: Desk, placement: Placement, recent: readonly IncidentRecord[]): string {
  const { group } = placement;
  const known = placement.incident ?? reopen(desk, group.root.fingerprint, recent);
  if (known !== undefined) {
    const incident = desk.world.incident(known);
    if (incident !== undefined && isDifferent(incident, placement, desk.moved)) {
      desk.change(known, { type: 'grouped', group });
    }
    return known;
  }
  const at = { now: desk.now, groupWaitMs: desk.config.triage.groupWait };
  const fresh = beginIncident(newIncidentId(), group, at);
  desk.add(fresh);
  return fresh.id;
}

/** Short enough to be typed. */
function newIncidentId(): string {
  return randomBytes(5).toString('hex');
}

function reopen(desk: Desk, root: string, recent: readonly IncidentRecord[]): string | undefined {
  const newest = recent
    .filter((incident) => holds(incident, root))
    .toSorted((a, b) => (b.endsAt ?? 0) - (a.endsAt ?? 0))[0];
  if (newest === undefined) return undefined;
  desk.change(newest.id, { type: 'reopened', why: 'Fires again' });
  return newest.id;
}

function isReopenable(incident: IncidentRecord, now: number): boolean {
  if (incident.endsAt === undefined || incident.endsAt < now - reopenWindowMs) return false;
  return incident.state !== 'open' && incident.mergedInto === undefined;
}

function isDifferent(incident: IncidentRecord, { group }: Placement, moved: ReadonlySet<string>): boolean {
  if (incident.root !== group.root.fingerprint) return true;
  const firing = incident.members.filter((member) => member.status === 'firing');
  if (firing.length !== group.members.length) return true;
  const rules = new Map(firing.map((member) => [member.fingerprint, member.rule]));
  return group.members.some(
    (member) => moved.has(member.clue.fingerprint) || rules.get(member.clue.fingerprint) !== member.rule,
  );
}
