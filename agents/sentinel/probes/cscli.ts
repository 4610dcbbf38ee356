import { z } from 'zod';
import { formatDuration } from '#config/duration.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { state } from './reading.ts';
import { counted, jsonOf, oneLine } from './text.ts';

const time = z.string().nullish();

/** `cscli machines list -o json`: `null` when there are none. What is not named here is not kept. */
const Machines = z
  .array(z.object({ machineId: z.string(), isValidated: z.boolean().default(true), last_heartbeat: time }))
  .nullable()
  .transform((list) => list ?? []);
export type Machine = z.output<typeof Machines>[number];

/** `cscli bouncers list -o json`: it prints the hashed keys as well, which go no further than this. */
const Bouncers = z
  .array(z.object({ name: z.string(), revoked: z.boolean().default(false), until: time, last_pull: time }))
  .nullable()
  .transform((list) => list ?? []);
type Bouncer = z.output<typeof Bouncers>[number];

export function parseMachines(text: string): Machine[] | undefined {
  const parsed = Machines.safeParse(jsonOf(text));
  return parsed.success ? parsed.data : undefined;
}

export function parseBouncers(text: string): Bouncer[] | undefined {
  const parsed = Bouncers.safeParse(jsonOf(text));
  return parsed.success ? parsed.data : undefined;
}

/** `cscli hub list -o json`: lists by sort, of what is installed; `status` as `enabled,tainted,update-available`. */
const Hub = z.record(
  z.string(),
  z
    .array(z.object({ name: z.string(), status: z.string().default('') }))
    .nullable()
    .transform((list) => list ?? []),
);
type Hub = z.output<typeof Hub>;

export function parseHub(text: string): Hub | undefined {
  const parsed = Hub.safeParse(jsonOf(text));
  return parsed.success && 'scenarios' in parsed.data ? parsed.data : undefined;
}

/** Without a scenario everything else may be well, and nobody is ever banned. */
export function observeHub(hub: Hub): Observation[] {
  const items = Object.entries(hub).flatMap(([sort, list]) => list.map((item) => ({ ...item, sort })));
  const isOn = ({ status }: { status: string }): boolean => status.split(',').includes('enabled');
  const scenarios = items.filter((item) => item.sort === 'scenarios' && isOn(item));
  const old = items.filter((item) => isOn(item) && item.status.includes('update-available'));
  const names = old.slice(0, 5).map(({ name }) => oneLine(name, 80));
  const more = old.length > names.length ? ` and ${old.length - names.length} more` : '';
  return [
    state({
      condition: 'crowdsec-no-scenarios',
      resource: 'hub',
      summary: `${counted(scenarios.length, 'scenario')} of CrowdSec ${scenarios.length === 1 ? 'is' : 'are'} on${scenarios.length === 0 ? ': it notices no attack' : ''}`,
      ok: scenarios.length > 0,
      severity: 'critical',
    }),
    state({
      condition: 'crowdsec-hub-outdated',
      resource: 'hub',
      holdMs: 0,
      summary:
        old.length === 0
          ? `what CrowdSec has of its hub is up to date as far as it knows`
          : `of the hub of CrowdSec ${counted(old.length, 'item')} can be updated: ${names.join(', ')}${more}`,
      ok: old.length === 0,
      severity: 'info',
    }),
  ];
}

interface HeardOf {
  now: number;
  limitMs: number;
}

/** An engine tells each minute that it lives. */
export function observeMachine(machine: Machine, { now, limitMs }: HeardOf): Observation[] {
  const said = { resource: machine.machineId, labels: { machine: machine.machineId.slice(0, 200) } };
  const waits = state({
    ...said,
    condition: 'machine-not-validated',
    summary: `${machine.machineId} ${machine.isValidated ? 'is validated' : 'asks to be validated: nothing that it sends counts until then'}`,
    ok: machine.isValidated,
    severity: 'warning',
  });
  if (!machine.isValidated) return [waits];
  const { words, ok } = heard(machine.last_heartbeat, { now, limitMs });
  const summary = `the engine ${machine.machineId} ${words}`;
  return [waits, state({ ...said, condition: 'machine-silent', summary, ok, severity: 'warning' })];
}

/**
 * A bouncer that pulls does so each 10 s. One that asks address by address is not noted by older versions: 1.4 gives it
 * the same moment as `until` and as its last pull when it is made, newer versions no last pull. `created_at` tells nothing:
 * 1.4 renews it.
 */
export function observeBouncer(bouncer: Bouncer, of: HeardOf): Observation {
  const said = { condition: 'bouncer-silent', resource: bouncer.name, labels: { bouncer: bouncer.name.slice(0, 200) } };
  const pulledAt = Date.parse(bouncer.last_pull ?? '');
  const isOfItsMaking = Math.abs(pulledAt - Date.parse(bouncer.until ?? '')) <= 1;
  if (bouncer.revoked || Number.isNaN(pulledAt) || isOfItsMaking) {
    const why = bouncer.revoked
      ? 'is revoked'
      : 'has never pulled the list: it asks address by address, or never asked';
    return state({ ...said, summary: `the bouncer ${bouncer.name} ${why}`, ok: true, severity: 'critical' });
  }
  const { words, ok } = heard(bouncer.last_pull, of);
  const effect = ok ? '' : ': what CrowdSec decides is not enforced there';
  return state({ ...said, summary: `the bouncer ${bouncer.name} ${words}${effect}`, ok, severity: 'critical' });
}

function heard(at: string | null | undefined, { now, limitMs }: HeardOf): { words: string; ok: boolean } {
  const time = Date.parse(at ?? '');
  if (Number.isNaN(time)) return { words: 'was never heard of', ok: false };
  const span = Math.max(0, now - time);
  return { words: `was heard of ${formatDuration(Math.floor(span / 1_000) * 1_000)} ago`, ok: span <= limitMs };
}
