import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type ApiAnswer, presence } from '#agents/sentinel/probes/api.ts';
import { fewAtOnce } from '#agents/sentinel/probes/few-at-once.ts';
import { judgeGroups, judgeRemembered, readGroups, rememberGroups } from '#agents/sentinel/probes/pbs-groups.ts';
import { type PbsLook, type PbsSeen, together } from '#agents/sentinel/probes/pbs-look.ts';
import { PbsOptions } from '#agents/sentinel/probes/pbs-options.ts';
import { DatastoreUsage } from '#agents/sentinel/probes/pbs-shapes.ts';
import { observeCollection, observeJobs, observePbsTasks, storeUsage } from '#agents/sentinel/probes/pbs-stores.ts';
import { createBackupApi } from '#agents/sentinel/probes/proxmox-api.ts';
import { LogLines } from '#agents/sentinel/probes/proxmox-shapes.ts';
import { asleep, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember, rememberedTexts } from '#agents/sentinel/probes/remembered.ts';
import { evidenceOf } from '#agents/sentinel/probes/text.ts';

const absence = 'pbs-down';
const callsAtOnce = 3;

export const check = defineCheck({
  kind: 'pbs',
  about:
    'A Proxmox Backup Server: the newest and the newest verified backup of each guest, room, damaged chunks and failed tasks.',
  options: PbsOptions,
  reach: 'network',
  knowsSleep: true,
  resourceOf: serverName,
  observe,
  evidence: { about: 'the last lines of the log of the task that failed', gather },
});

function serverName(options: PbsOptions): string {
  return new URL(options.url).host;
}

async function observe(options: PbsOptions, context: CheckContext): Promise<Observation[]> {
  const api = createBackupApi(options, context);
  const look: PbsLook = { api, options, context, now: context.clock.now() };
  const said = {
    condition: absence,
    resource: serverName(options),
    name: `the Backup Server at ${serverName(options)}`,
  };
  const answer = await api.get(DatastoreUsage, '/status/datastore-usage');
  if (isSleep(answer, look)) {
    const summary = `${said.name} is asleep, which it may: ${answer.reason}`;
    return [asleep({ ...said, summary }, 'it is off, which it may'), ...judgeRemembered(look)];
  }
  if (answer.is !== 'value') return [presence(answer, said)];
  // It leaves out what the token may not see, and refuses nothing.
  if (answer.value.length === 0) return [unseen({ ...said, hidesRest: true }, 'it shows no datastore to this token')];
  const stores = answer.value.filter(({ store }) => options.stores?.includes(store) !== false);
  const seen = await observeAll(look, stores);
  return [presence(answer, said), ...missingStores(options, stores), ...withBlind(look, seen)];
}

/** Nobody answers where somebody may be off. A port that is closed belongs to a machine that is on. */
function isSleep(
  answer: ApiAnswer<unknown>,
  { options, context }: PbsLook,
): answer is ApiAnswer<never> & { is: 'silent' } {
  const mayRest = options.onDemand || context.host?.config.onDemand !== undefined;
  return mayRest && answer.is === 'silent' && answer.reason !== 'connection refused';
}

async function observeAll(look: PbsLook, stores: readonly DatastoreUsage[]): Promise<PbsSeen> {
  // A store that cannot be used has nothing to list.
  const usable = stores.filter(({ error }) => error === undefined || error === null || error === '');
  const read = await fewAtOnce(usable, callsAtOnce, ({ store }) => readGroups(look, store));
  const groups = read.flatMap((one) => one.groups);
  rememberGroups(look, groups);
  const collections = await fewAtOnce(usable, callsAtOnce, ({ store }) => observeCollection(look, store));
  const jobs = await fewAtOnce(['verify', 'prune', 'sync'] as const, callsAtOnce, (sort) => observeJobs(look, sort));
  const judged = [...stores.flatMap((store) => storeUsage(store, look)), ...judgeGroups(groups, look)];
  return together([
    { observations: judged, blind: [] },
    ...read.map(({ seen }) => seen),
    ...collections,
    ...jobs,
    await observePbsTasks(look),
  ]);
}

/**
 * What could not be looked at hides what the same look showed before under that condition. One that never was seen is
 * told under the condition that always is there, so that nothing else is kept from counting as gone.
 */
function withBlind(look: PbsLook, { observations, blind }: PbsSeen): Observation[] {
  const { memory } = look.context;
  const now = observations.map(({ condition }) => condition);
  const known = new Set([...(rememberedTexts(memory, 'conditions') ?? []), ...now]);
  const kept = blind.length === 0 ? new Set(now) : known;
  remember(memory, 'conditions', [...kept].toSorted());
  const unseens = blind.map(({ condition, resource, reason }) =>
    unseen({ condition: known.has(condition) ? condition : absence, resource }, reason),
  );
  return [...observations, ...unseens];
}

function missingStores(options: PbsOptions, stores: readonly DatastoreUsage[]): Observation[] {
  const found = new Set(stores.map(({ store }) => store));
  return (options.stores ?? [])
    .filter((store) => !found.has(store))
    .map((store) =>
      unseen({ condition: absence, resource: store }, 'there is no such datastore, or the token may not see it'),
    );
}

async function gather(options: PbsOptions, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const upid = observation.clues?.['upid'];
  if (upid === undefined) return [];
  const api = createBackupApi(options, context);
  const path = `/nodes/localhost/tasks/${encodeURIComponent(upid)}/log`;
  const answer = await api.get(LogLines, path, { start: 0, limit: 5_000 });
  if (answer.is !== 'value') return [];
  return evidenceOf('log', 'Log of the task', answer.value.map(({ t }) => t ?? '').slice(-20));
}
