import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { askHost, type HostAnswer, linesOf, partFailure, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { levels } from '#agents/sentinel/probes/levels-option.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, formatBytes, oneLine } from '#agents/sentinel/probes/text.ts';
import {
  parsePools,
  parseStatusJson,
  parseStatusText,
  type Pool,
  type PoolStatus,
} from '#agents/sentinel/probes/zfs.ts';
import { zoneOffsetMs } from '#agents/sentinel/probes/zone.ts';

const all = 'pools';
const dayMs = 86_400_000;

const Options = z.strictObject({
  pools: z
    .array(z.string().min(1).max(200))
    .max(100)
    .optional()
    .describe('Pools that have to be there. Absent: all that are imported.'),
  capacity: levels({ warning: 80, critical: 90 })
    .prefault({})
    .describe('Percent of a pool that is used: above 80 ZFS gets slow.'),
  fragmentation: z
    .number()
    .min(1)
    .max(100)
    .default(70)
    .describe('Percent of the free space that is in pieces, where a warning begins.'),
  scrub: durationOr('35d').describe('Age of the last scrub where a warning begins; 0s asks for none.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'zfs',
  about: 'ZFS pools that are degraded, fill up, are in pieces, counted errors or were not scrubbed for long.',
  options: Options,
  reach: 'host',
  resourceOf: () => all,
  observe,
  evidence: { about: 'what "zpool status" says of the pool', gather },
});

/** 2.3 and later know JSON; older ones refuse the option and are asked again in text. */
const script = String.raw`${scriptHead}
status() { limit 8 zpool status -j --json-int 2>/dev/null || limit 8 zpool status -p; }
part pools limit 8 zpool list -Hp -o name,health,capacity,fragmentation,size,free
part status status
part zone date +%z
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const answer = await askHost(context, { script });
  if (!answer.ok) return [blind(answer.reason)];
  const listed = answer.sections.get('pools');
  if (listed?.code === 127) return [blind('"zpool" is not installed')];
  if (listed?.code !== 0) return [blind(partFailure(listed, '"zpool list"'))];
  const pools = parsePools(listed.text).filter(({ name }) => options.pools?.includes(name) ?? true);
  const states = statusIn(answer);
  const now = context.clock.now();
  return [
    state({
      condition: 'zfs-pool-missing',
      resource: all,
      summary: `looked at ${counted(pools.length, 'pool')}`,
      ok: true,
      severity: 'critical',
    }),
    ...missing(options, pools),
    ...pools.flatMap((pool) => observePool(pool, { options, status: states.get(pool.name), now })),
  ];
}

function blind(reason: string): Observation {
  return unseen({ condition: 'zfs-pool-missing', resource: all }, reason);
}

function statusIn(answer: Extract<HostAnswer, { ok: true }>): Map<string, PoolStatus> {
  const section = answer.sections.get('status');
  if (section === undefined || section.code !== 0) return new Map();
  const offsetMs = zoneOffsetMs(linesOf(answer.sections, 'zone')[0] ?? '');
  return parseStatusJson(section.text) ?? parseStatusText(section.text, offsetMs);
}

function missing(options: Options, pools: readonly Pool[]): Observation[] {
  const found = new Set(pools.map(({ name }) => name));
  return [...new Set(options.pools ?? [])].map((name) =>
    state({
      condition: 'zfs-pool-missing',
      resource: name,
      labels: { pool: name },
      summary: found.has(name) ? `pool ${name} is imported` : `pool ${name} is not imported`,
      ok: found.has(name),
      severity: 'critical',
    }),
  );
}

interface PoolRules {
  options: Options;
  status: PoolStatus | undefined;
  now: number;
}

function observePool(pool: Pool, of: PoolRules): Observation[] {
  const { options, status } = of;
  const said = { resource: pool.name, labels: { pool: pool.name } };
  const sick = status?.sick ?? [];
  const running = status?.running === undefined ? '' : `, a ${status.running} runs`;
  return [
    state({
      condition: 'zfs-pool-unhealthy',
      ...said,
      summary: oneLine(
        `pool ${pool.name} is ${pool.health}${running}${pool.health === 'ONLINE' ? '' : `: ${sick.join(', ')}`}`,
      ),
      ok: pool.health === 'ONLINE',
      severity: 'critical',
      holdMs: 0,
    }),
    level({
      condition: 'zfs-pool-full',
      ...said,
      summary: `pool ${pool.name} is ${pool.capacity} % full, ${formatBytes(pool.freeBytes)} of ${formatBytes(pool.sizeBytes)} left`,
      value: pool.capacity,
      unit: '%',
      bad: 'above',
      ...options.capacity,
    }),
    ...fragmentation(pool, options.fragmentation),
    ...(status === undefined
      ? [unseen({ condition: 'zfs-errors', ...said }, '"zpool status" did not answer')]
      : [errors(pool, status), ...scrub(pool, status, of)]),
  ];
}

/** Some pools have none to tell. */
function fragmentation(pool: Pool, warning: number): Observation[] {
  if (!Number.isFinite(pool.fragmentation)) return [];
  return [
    level({
      condition: 'zfs-pool-fragmented',
      resource: pool.name,
      labels: { pool: pool.name },
      summary: `the free space of pool ${pool.name} is ${pool.fragmentation} % in pieces`,
      value: pool.fragmentation,
      unit: '%',
      bad: 'above',
      warning,
    }),
  ];
}

function errors(pool: Pool, { dataErrors, sick }: PoolStatus): Observation {
  const data = dataErrors === 0 ? '' : `${counted(dataErrors, 'data error')} that could not be repaired`;
  const devices = sick.length === 0 ? '' : `devices: ${sick.slice(0, 4).join(', ')}`;
  const isWell = dataErrors === 0 && sick.length === 0;
  return state({
    condition: 'zfs-errors',
    resource: pool.name,
    labels: { pool: pool.name },
    summary: isWell
      ? `pool ${pool.name} counted no errors`
      : `pool ${pool.name} has ${[data, devices].filter(Boolean).join('; ')}`,
    ok: isWell,
    severity: dataErrors > 0 ? 'critical' : 'warning',
    holdMs: 0,
  });
}

function scrub(pool: Pool, status: PoolStatus, { options, now }: PoolRules): Observation[] {
  // A scrub that runs now or a resilver before the next one says nothing about an age.
  if (options.scrub === 0 || status.running !== undefined) return [];
  const said = { condition: 'zfs-scrub-old', resource: pool.name, labels: { pool: pool.name }, holdMs: 0 };
  if (status.scrubbedAt === undefined) {
    const summary = `pool ${pool.name} was never scrubbed, or resilvered since`;
    return [state({ ...said, summary, ok: false, severity: 'info' })];
  }
  const ageMs = Math.max(0, now - status.scrubbedAt);
  return [
    level({
      ...said,
      summary: `pool ${pool.name} was scrubbed ${counted(Math.floor(ageMs / dayMs), 'day')} ago (wanted every ${formatDuration(options.scrub)})`,
      value: Math.floor(ageMs / dayMs),
      unit: 'd',
      bad: 'above',
      warning: options.scrub / dayMs,
    }),
  ];
}

const evidenceScript = String.raw`${scriptHead}
part status limit 4 zpool status -- "$1"
`;

async function gather(_options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const pool = observation.labels?.['pool'];
  if (pool === undefined) return [];
  const answer = await askHost(context, { script: evidenceScript, values: [pool], timeoutMs: 5_000 });
  if (!answer.ok || answer.sections.get('status')?.code !== 0) return [];
  return evidenceOf('state', `zpool status ${pool}`, linesOf(answer.sections, 'status'));
}
