import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { startHttpTarget } from '../../test/parts/http-target.ts';
import { type Look, SentinelHours } from '../../test/parts/sentinel-hours.ts';
import { level, state } from '../../test/parts/sentinel-stage.ts';
import { startTcpTarget, type TcpTarget } from '../../test/parts/tcp-target.ts';
import { type CheckDefinition, defineCheck } from './check.ts';

const minuteMs = 60_000;
const nodes = 62;
const checksInAll = 500;
/** As the runner promises: per host from inside and from outside, and in all. */
const limits = { host: 4, network: 16, all: 64 };
/** Spreads looks over a tenth of their interval; the rest is waiting for a turn. */
const jitterShare = 0.1;
const latestMs = 3_000;
/** In fifty minutes; a leak of 350 bytes for each look is more. */
const mostGrowthBytes = 2_500_000;

interface Written {
  [key: string]: unknown;
  id: string;
  kind: string;
  every: string;
  host?: string;
  url?: string;
  name?: string;
  address?: string;
  port?: number;
  timeout?: string;
  takes?: number;
  flaps?: boolean;
}

/** A check as it is written, and by what and how often its looks are known. */
interface FleetCheck {
  written: Written;
  resource: string;
  everyMs: number;
}

/** A look that takes `takes` ms of virtual time; every tenth of its numbers moves, and some of them go bad at times. */
function slowKind(kind: string, reach: CheckDefinition['reach']): CheckDefinition {
  return defineCheck({
    kind,
    about: 'Takes its time.',
    options: z.object({ name: z.string(), takes: z.number(), flaps: z.boolean().default(false) }),
    reach,
    resourceOf: ({ name }) => name,
    async observe({ name, takes, flaps }, { clock, signal, memory }) {
      await clock.sleep(takes, signal);
      const turn = (Number(memory.get('turn') ?? 0) + 1) % 40;
      memory.set('turn', turn);
      return [state(!flaps || turn < 30, { resource: name }), level(turn, { resource: name })];
    },
    evidence: { about: 'nothing', gather: () => Promise.resolve([]) },
  });
}

/** Counts what is under way, and keeps when each check was looked at. */
class Observer {
  readonly times = new Map<string, number[]>();
  readonly faults: string[] = [];
  readonly most = { host: 0, network: 0, all: 0 };
  readonly #underWay = new Set<Look>();

  onLook = (look: Look): void => {
    for (const other of this.#underWay) if (other.endedAt !== undefined) this.#underWay.delete(other);
    const same = [...this.#underWay].some((other) => nameOf(other) === nameOf(look));
    if (same) this.faults.push(`${nameOf(look)} is looked at twice at once`);
    this.#underWay.add(look);
    this.#count(look);
    const times = this.times.get(nameOf(look)) ?? [];
    times.push(look.startedAt);
    this.times.set(nameOf(look), times);
  };

  #count({ host, reach }: Look): void {
    const ofHost = [...this.#underWay].filter((other) => other.host === host && other.reach === reach).length;
    this.most[reach] = Math.max(this.most[reach], ofHost);
    const ofReach = [...this.#underWay].filter((other) => other.reach === reach).length;
    this.most.all = Math.max(this.most.all, ofReach);
  }
}

function nameOf({ kind, resource }: Pick<Look, 'kind' | 'resource'>): string {
  return `${kind} ${resource}`;
}

let doors: TcpTarget[] = [];
let gc: () => void = () => undefined;

beforeAll(async () => {
  setFlagsFromString('--expose-gc');
  gc = runInNewContext('gc') as () => void;
  doors = await Promise.all(Array.from({ length: nodes }, () => startTcpTarget((socket) => socket.end())));
});

afterAll(async () => {
  await Promise.all(doors.map((door) => door[Symbol.asyncDispose]()));
});

test('62 nodes and 500 checks: an hour of looks on time, few at once, in bounded memory', async () => {
  await using web = await startHttpTarget();
  const observer = new Observer();
  const fleet = fleetChecks(web.url);
  expect(fleet).toHaveLength(checksInAll);
  const hosts = Array.from({ length: nodes }, (_, index) => [`node-${index}`, { via: 'none', address: '127.0.0.1' }]);
  await using hours = await SentinelHours.begin({
    config: { defaultChecks: false, hosts: Object.fromEntries(hosts), checks: fleet.map(({ written }) => written) },
    kinds: [slowKind('inside', 'host'), slowKind('outside', 'network')],
    slowKinds: ['inside', 'outside'],
    onLook: observer.onLook,
  });
  const cpuBefore = process.cpuUsage();
  const heap: number[] = [];
  for (let minute = 1; minute <= 60; minute += 1) {
    await hours.clock.advance(minuteMs);
    // What the test itself collects is no memory of the sentinel.
    web.requests.length = 0;
    hours.bus.sent.length = 0;
    if (minute % 10 === 0) heap.push(heapUsed());
  }
  tellCost(process.cpuUsage(cpuBefore), { observer, heap });
  expect((heap.at(-1) ?? 0) - (heap[0] ?? 0)).toBeLessThan(mostGrowthBytes);
  expect(observer.faults).toEqual([]);
  expect(observer.times.size).toBe(checksInAll);
  const timesOf = ({ resource, written: { kind } }: FleetCheck): number[] =>
    observer.times.get(nameOf({ kind, resource })) ?? [];
  const onTime = fleet.filter(({ everyMs }) => everyMs > 10_000);
  expect(onTime.flatMap((check) => offBeat(check, timesOf(check), hours.clock.now()))).toEqual([]);
  expect(observer.times.get('outside late-0')?.length).toBeGreaterThan(100);
  expect(observer.most.host).toBeLessThanOrEqual(limits.host);
  expect(observer.most.network).toBeLessThanOrEqual(limits.network);
  expect(observer.most.all).toBeLessThanOrEqual(limits.all);
}, 120_000);

function tellCost({ user, system }: NodeJS.CpuUsage, of: { observer: Observer; heap: readonly number[] }): void {
  const looks = [...of.observer.times.values()].reduce((sum, { length }) => sum + length, 0);
  const perLook = (user + system) / 1_000 / looks;
  const megabytes = of.heap.map((bytes) => (bytes / 1e6).toFixed(1)).join(', ');
  process.stdout.write(`${looks} looks, ${perLook.toFixed(2)} ms of CPU each with its target; heap ${megabytes} MB\n`);
}

function heapUsed(): number {
  gc();
  return process.memoryUsage().heapUsed;
}

/** Per node a door, two pages and five readings of its own; the last four take longer than their interval. */
function fleetChecks(url: string): FleetCheck[] {
  const checks = Array.from({ length: nodes }, (_, index) => ofNode(index, url)).flat();
  const late = Array.from({ length: checksInAll - checks.length }, (_, index) =>
    reading(`late-${index}`, 10, { kind: 'outside', timeout: '30s', takes: 25_000 }),
  );
  return [...checks, ...late];
}

function ofNode(index: number, url: string): FleetCheck[] {
  const host = `node-${index}`;
  const { port = 0 } = doors[index] ?? {};
  const flaps = index % 20 === 0;
  const takes = (number: number): number => 200 + ((index * 37 + number * 101) % 1_300);
  return [
    fleetCheck(`${host}-door`, 300, { kind: 'tcp', host, address: '127.0.0.1', port }),
    fleetCheck(`${host}-home`, 600, { kind: 'http', host, url: `${url}/${host}` }),
    fleetCheck(`${host}-health`, 900, { kind: 'http', host, url: `${url}/${host}/health` }),
    // What looks every minute or oftener is not looked at sooner because something is about to turn.
    reading(`${host}-0`, flaps ? 60 : 120, { host, takes: takes(0), flaps }),
    reading(`${host}-1`, 300, { host, takes: takes(1) }),
    reading(`${host}-2`, index % 3 === 0 ? 30 : 120, { host, takes: takes(2) }),
    reading(`${host}-3`, 600, { host, takes: takes(3) }),
    reading(`${host}-4`, 300, { host, takes: takes(4), kind: 'outside' }),
  ];
}

function reading(name: string, seconds: number, more: Partial<Written>): FleetCheck {
  return fleetCheck(name, seconds, { kind: 'inside', name, ...more });
}

function fleetCheck(id: string, seconds: number, more: Partial<Written> & { kind: string }): FleetCheck {
  const written = { ...more, id, every: `${seconds}s` };
  return { written, resource: more.url ?? more.name ?? `${more.address}:${more.port}`, everyMs: seconds * 1_000 };
}

/** What is wrong with when a check was looked at, in words: after the first round each look keeps to its beat. */
function offBeat({ written: { id }, everyMs }: FleetCheck, times: readonly number[], endsAt: number): string[] {
  const [first = 0, second = 0, ...rest] = times;
  const mayStray = everyMs * jitterShare + latestMs;
  const strayed = rest.map((at, index) => at - second - (index + 1) * everyMs).filter((by) => Math.abs(by) > mayStray);
  const due = Math.floor((endsAt - second) / everyMs) + 1;
  return [
    ...(strayed.length === 0 ? [] : [`${id} strayed by ${strayed.join(', ')} ms`]),
    ...(Math.abs(rest.length + 1 - due) <= 1 ? [] : [`${id} was looked at ${rest.length + 1} times, not ${due}`]),
    ...(second - first <= 1.5 * everyMs ? [] : [`${id} waited ${second - first} ms for its second look`]),
  ];
}
