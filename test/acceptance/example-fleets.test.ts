import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { expect, test } from 'vitest';
import { runCommand } from '../parts/command.ts';
import { ExampleFleet, examplesFolder } from '../parts/example-fleet.ts';
import { until } from '../parts/until.ts';

const fleets = ['nomos', 'akunito', 'pixelium', 'nodetool'];
const patienceMs = 45_000;
/** Longer than the group wait and two rounds. */
const quietMs = 10_000;
const limitMs = 180_000;

interface PlannedCheck {
  id: string;
  kind: string;
  host: string | null;
}

test.concurrent.each(fleets)(
  'the fleet %s is valid, and its plan says what is watched, asked and sent',
  async (name) => {
    const file = join(examplesFolder, `${name}.yaml`);
    const cwd = examplesFolder;
    const [validated, plan, json] = await Promise.all([
      runCommand(['validate', '-c', file], { cwd }),
      runCommand(['plan', '-c', file], { cwd }),
      runCommand(['plan', '--json', '-c', file], { cwd }),
    ]);
    expect(validated).toMatchObject({ status: 0, stderr: '' });
    expect(plan).toMatchObject({ status: 0, stderr: '' });
    expect(plan.stdout).toMatch(
      /^Watched:\n(?: {2}\S+ \(.+\) (?:every|at) .+\n)+Guardians .+\nAsked: .+\nSent to: telegram, /,
    );
    const { watch } = JSON.parse(json.stdout) as { watch: PlannedCheck[] };
    const { hosts, services = {} } = parse(readFileSync(file, 'utf8'), { merge: true }) as Example;
    const watched = watch.map(({ id }) => id);
    const isWatched = (thing: string): boolean => watched.some((id) => id.startsWith(`${thing}-`));
    const asked = Object.entries(services).filter(([, { watch }]) => watch !== undefined);
    expect(asked.filter(([service]) => !isWatched(service))).toEqual([]);
    expect(Object.entries(hosts).filter(([host, { onDemand }]) => onDemand === undefined && !isWatched(host))).toEqual(
      [],
    );
  },
);

interface Example {
  hosts: Record<string, { onDemand?: unknown }>;
  services?: Record<string, { watch?: unknown }>;
}

test.concurrent(
  'nomos: a gate that is well itself and answers 500 behind the proxy is one message that names that address',
  async () => {
    await using fleet = await ExampleFleet.open('nomos');
    await beginsWell(fleet);
    const proxied = fleet.fakes.byName.get('gate proxied');
    if (proxied === undefined) throw new Error('The gate has no address behind the proxy');
    proxied.fault = 'server-error-html';
    const [card] = await cards(fleet);
    expect(card).toContain(`${proxied.url}/health`);
    expect(card).toContain('500');
    proxied.fault = 'none';
    await until(() => fleet.cards.some((text) => /\nresolved · /.test(text)), 'the end of the incident', patienceMs);
    expect(fleet.cards).toHaveLength(1);
  },
  limitMs,
);

test.concurrent(
  'nodetool: a service that its proxy stopped is asleep and no message, and looking starts none',
  async () => {
    await using fleet = await ExampleFleet.open('nodetool');
    await beginsWell(fleet);
    const { nodetool } = fleet.fakes;
    const [service] = nodetool?.services ?? [];
    if (nodetool === undefined || service === undefined) throw new Error('NodeTool has no service');
    service.status = 'exited';
    expect(await lookAfterQuiet(fleet, 'nodetool-proxy')).toContain('asleep');
    expect(nodetool.coldStarts).toEqual([]);
  },
  limitMs,
);

test.concurrent(
  'akunito: a TrueNAS that sleeps is asleep and no message',
  async () => {
    await using fleet = await ExampleFleet.open('akunito');
    await beginsWell(fleet);
    await fleet.fakes.byName.get('storage url')?.[Symbol.asyncDispose]();
    expect(await lookAfterQuiet(fleet, 'storage-storage')).toContain('asleep');
  },
  limitMs,
);

test.concurrent(
  'pixelium: a node that loses its power is one message with the node as root, its guests and services hang on it',
  async () => {
    await using fleet = await ExampleFleet.open('pixelium');
    await beginsWell(fleet);
    const { hosts, services } = fleet.powerOff('pve2');
    expect(hosts.length).toBeGreaterThan(30);
    await cards(fleet);
    const [incident] = await fleet.incidents();
    const members = async () => (await fleet.incident(incident?.id ?? '')).members;
    const expected = hosts.length + services.filter((name) => isPlayed(fleet, name)).length;
    await until(async () => (await members()).length >= expected, `${expected} findings of one incident`, patienceMs);
    const all = await members();
    const roots = all.filter(({ role }) => role === 'root');
    expect(roots).toMatchObject([{ host: 'pve2', rule: 'unreachable-host' }]);
    const symptoms = new Set(all.filter(({ role }) => role === 'symptom').map(({ host }) => host));
    expect(hosts.filter((host) => host !== 'pve2' && !symptoms.has(host))).toEqual([]);
    expect([...symptoms].filter((host) => !hosts.includes(host) && host !== 'pve1')).toEqual([]);
    await quietWhile();
    expect(fleet.cards.slice(1)).toEqual([]);
    expect(await fleet.incidents()).toHaveLength(1);
  },
  limitMs,
);

/** The first round looks at everything and says how much that was; after the group wait nothing fires. */
async function beginsWell(fleet: ExampleFleet): Promise<void> {
  const round = await fleet.start();
  expect(round).toMatchObject({ bad: 0, unknown: 0, troubles: [], unseen: [] });
  expect(round.text).toMatch(/^Checked \d+ things on \d+ hosts?: all well\.$/);
  expect(round.ok).toBeGreaterThanOrEqual(4);
  await quietWhile();
  expect({ cards: fleet.cards, firing: await fleet.firing() }).toEqual({ cards: [], firing: 0 });
}

/** How a check reads, after a while in which nobody was told anything. */
async function lookAfterQuiet(fleet: ExampleFleet, check: string): Promise<string[]> {
  await quietWhile();
  expect({ cards: fleet.cards, firing: await fleet.firing() }).toEqual({ cards: [], firing: 0 });
  return fleet.look(check);
}

/** The messages about incidents, once there is one. */
async function cards(fleet: ExampleFleet): Promise<string[]> {
  await until(() => fleet.cards.length > 0, 'a message', patienceMs);
  expect(fleet.cards).toHaveLength(1);
  return fleet.cards;
}

function isPlayed(fleet: ExampleFleet, service: string): boolean {
  return [...fleet.fakes.byName.keys()].some((key) => key.startsWith(`${service} `));
}

/** Nothing is waited for but time itself: a message would have to come within it. */
async function quietWhile(): Promise<void> {
  const endsAt = Date.now() + quietMs;
  await until(() => Date.now() > endsAt, 'a quiet while', quietMs * 3);
}
