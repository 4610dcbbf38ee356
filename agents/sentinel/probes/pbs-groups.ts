import type { Observation } from '#agents/sentinel/check.ts';
import { formatDuration } from '#config/duration.ts';
import type { ApiAnswer } from './api.ts';
import { fewAtOnce } from './few-at-once.ts';
import { matchesAny } from './glob.ts';
import type { PbsLook, PbsSeen } from './pbs-look.ts';
import type { PbsOptions } from './pbs-options.ts';
import { type Group, Groups, Namespaces, type Snapshot, Snapshots } from './pbs-shapes.ts';
import { level, state } from './reading.ts';
import { remember } from './remembered.ts';
import { counted, oneLine } from './text.ts';

const hourMs = 3_600_000;
const callsAtOnce = 4;
const maximumNamespaces = 50;
const maximumGroups = 500;
/** As many as a check's memory holds, with their names. */
const maximumRemembered = 400;

/** What is known of the backups of one guest in one store. */
interface GroupState {
  /** `store ct/101`, with the namespace where there is one. */
  title: string;
  store: string;
  id: string;
  /** What the owner calls it. */
  comment: string;
  /** Epoch ms. */
  newestAt: number;
  /** Epoch ms of the newest snapshot that was verified and is good; 0 for none, undefined when nobody knows. */
  verifiedAt: number | undefined;
  /** Snapshots that failed their verification. */
  corrupt: number;
  total: number;
}

interface Place {
  store: string;
  ns: string;
}

/** All groups of a store with what their snapshots tell. */
export async function readGroups(look: PbsLook, store: string): Promise<{ groups: GroupState[]; seen: PbsSeen }> {
  const blind: PbsSeen['blind'] = [];
  const base = `/admin/datastore/${encodeURIComponent(store)}`;
  const listed = await look.api.get(Namespaces, `${base}/namespace`);
  const names = listed.is === 'value' ? listed.value.map(({ ns }) => ns) : [''];
  const found = await fewAtOnce(names.slice(0, maximumNamespaces), callsAtOnce, async (ns) => {
    const place = { store, ns };
    const groups = await look.api.get(Groups, `${base}/groups`, query(place));
    if (groups.is !== 'value') {
      blind.push({ condition: 'backup-old', resource: `${placeText(place)} groups`, reason: groups.reason });
      return [];
    }
    const watched = groups.value.filter((group) => !matchesAny(idOf(group), look.options.ignoreGroups));
    const snapshots = await readSnapshots(look, { place, groups: watched });
    if (snapshots.is !== 'value') {
      blind.push({ condition: 'backup-corrupt', resource: `${placeText(place)} snapshots`, reason: snapshots.reason });
    }
    const byGroup = snapshots.is === 'value' ? Map.groupBy(snapshots.value, idOf) : undefined;
    return watched
      .slice(0, maximumGroups)
      .map((group) => stateOf(group, place, byGroup && (byGroup.get(idOf(group)) ?? [])));
  });
  return { groups: found.flat(), seen: { observations: [], blind } };
}

/** All at once; a store of many thousands is asked group by group. */
async function readSnapshots(
  look: PbsLook,
  { place, groups }: { place: Place; groups: readonly Group[] },
): Promise<ApiAnswer<Snapshot[]>> {
  const path = `/admin/datastore/${encodeURIComponent(place.store)}/snapshots`;
  const whole = await look.api.get(Snapshots, path, query(place));
  if (whole.is !== 'unreadable') return whole;
  const parts = await fewAtOnce(groups, callsAtOnce, (group) =>
    look.api.get(Snapshots, path, {
      ...query(place),
      'backup-type': group['backup-type'],
      'backup-id': group['backup-id'],
    }),
  );
  const failed = parts.find((part) => part.is !== 'value');
  if (failed !== undefined) return failed;
  return {
    ...whole,
    is: 'value',
    status: 200,
    headers: {},
    ms: 0,
    value: parts.flatMap((part) => (part.is === 'value' ? part.value : [])),
  };
}

function query({ ns }: Place): Record<string, string> {
  return ns === '' ? {} : { ns };
}

function idOf(of: Pick<Group, 'backup-type' | 'backup-id'>): string {
  return `${of['backup-type']}/${of['backup-id']}`;
}

function placeText({ store, ns }: Place): string {
  return ns === '' ? store : `${store} ${ns}`;
}

function stateOf(group: Group, place: Place, snapshots: readonly Snapshot[] | undefined): GroupState {
  const good = snapshots?.filter(({ verification }) => verification?.state === 'ok');
  return {
    title: oneLine(`${placeText(place)} ${idOf(group)}`, 150),
    store: place.store,
    id: idOf(group),
    comment: oneLine(group.comment ?? '', 80),
    newestAt: group['last-backup'] * 1_000,
    verifiedAt: good && Math.max(0, ...good.map((snapshot) => snapshot['backup-time'] * 1_000)),
    corrupt: snapshots?.filter(({ verification }) => verification?.state === 'failed').length ?? 0,
    total: snapshots?.length ?? group['backup-count'],
  };
}

/** How each group stands: how old its newest snapshot is, whether any is corrupt, and since when one is proved good. */
export function judgeGroups(groups: readonly GroupState[], of: { options: PbsOptions; now: number }): Observation[] {
  return groups.flatMap((group) => [freshness(group, of), ...soundness(group, of)]);
}

function freshness(group: GroupState, { options, now }: { options: PbsOptions; now: number }): Observation {
  const ageMs = Math.max(0, now - group.newestAt);
  return level({
    condition: 'backup-old',
    resource: group.title,
    labels: labelsOf(group),
    summary: `the newest backup of ${called(group)} is ${ageText(ageMs)} old`,
    value: ageMs / hourMs,
    unit: 'h',
    bad: 'above',
    warning: options.age.warning / hourMs,
    critical: options.age.critical / hourMs,
    holdMs: 0,
  });
}

function soundness(group: GroupState, { options, now }: { options: PbsOptions; now: number }): Observation[] {
  const { verifiedAt, corrupt, title } = group;
  if (verifiedAt === undefined) return [];
  const said = { resource: title, labels: labelsOf(group), holdMs: 0 };
  const isOld = now - verifiedAt >= options.verifiedWithin;
  const last =
    verifiedAt === 0 ? 'has no verified backup' : `has a verified backup that is ${ageText(now - verifiedAt)} old`;
  return [
    state({
      ...said,
      condition: 'backup-corrupt',
      summary:
        corrupt === 0
          ? `no backup of ${called(group)} is known to be corrupt`
          : `${counted(corrupt, 'backup')} of ${called(group)} of ${group.total} failed verification; it ${last}`,
      ok: corrupt === 0,
      severity: 'critical',
    }),
    state({
      ...said,
      condition: 'backup-unverified',
      summary: `${called(group)} ${last}`,
      ok: !isOld,
      severity: 'warning',
    }),
  ];
}

function labelsOf({ store, id, comment }: GroupState): Record<string, string> {
  const [, vmid = ''] = id.split('/');
  return { store, group: id, ...(/^\d{3,9}$/.test(vmid) && { vmid }), ...(comment !== '' && { guest: comment }) };
}

function called({ title, comment }: GroupState): string {
  return comment === '' ? title : `${title} (${comment})`;
}

function ageText(ms: number): string {
  return formatDuration(Math.floor(ms / 60_000) * 60_000);
}

/** Title, newest snapshot and name of each group, for the time in which the server sleeps. */
export function rememberGroups(look: PbsLook, groups: readonly GroupState[]): void {
  const kept = groups
    .slice(0, maximumRemembered)
    .map(({ title, newestAt, comment }) => [title.slice(0, 80), newestAt, comment.slice(0, 40)]);
  remember(look.context.memory, 'groups', kept);
}

/** What was known when the server was awake, judged by the time that has gone by. */
export function judgeRemembered(look: PbsLook): Observation[] {
  const value = look.context.memory.get('groups');
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: unknown) => {
    if (!Array.isArray(entry)) return [];
    const [title, newestAt, comment = ''] = entry as unknown[];
    if (typeof title !== 'string' || typeof newestAt !== 'number' || typeof comment !== 'string') return [];
    const [store = '', ...rest] = title.split(' ');
    const id = rest.at(-1) ?? '';
    const known = { title, store, id, comment, newestAt, verifiedAt: undefined, corrupt: 0, total: 0 };
    return [freshness(known, { options: look.options, now: look.now })];
  });
}
