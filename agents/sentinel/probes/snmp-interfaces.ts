import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { ratesOf } from './counter-rate.ts';
import { matchesAny } from './glob.ts';
import { level, state, unseen } from './reading.ts';
import { remember, rememberedTexts } from './remembered.ts';
import { numberIn, type SnmpReader, type SnmpValue, textIn } from './snmp.ts';
import { counted, resourceName } from './text.ts';

interface InterfaceOptions {
  names: readonly string[];
  ignore: readonly string[];
  expectUp: 'once-up' | 'always';
  errorsPerSecond: number;
}

/** One row of IF-MIB. */
export interface NetworkInterface {
  name: string;
  admin: number;
  oper: number;
  /** Mb/s; 0 where it is not told. */
  speed: number;
  errors: number;
}

const ifTable = '1.3.6.1.2.1.2.2.1';
const ifXTable = '1.3.6.1.2.1.31.1.1.1';
const columns = {
  descr: `${ifTable}.2`,
  admin: `${ifTable}.7`,
  oper: `${ifTable}.8`,
  inErrors: `${ifTable}.14`,
  outErrors: `${ifTable}.20`,
  name: `${ifXTable}.1`,
  speed: `${ifXTable}.15`,
};
/** More single observations than that help nobody. */
const maximumShown = 150;

/** The interfaces of a device; names that stand twice get their index. */
export async function readInterfaces(reader: SnmpReader): Promise<NetworkInterface[]> {
  const found = await reader.columns(Object.values(columns));
  const column = (oid: string): ReadonlyMap<string, SnmpValue> => found.get(oid) ?? new Map();
  const taken = new Set<string>();
  return [...column(columns.oper).keys()].map((index) => {
    const short = textIn(column(columns.name), index);
    const told = short === undefined || short === '' ? (textIn(column(columns.descr), index) ?? '') : short;
    const plain = resourceName(told) || `interface ${index}`;
    const name = taken.has(plain) ? resourceName(`${plain} (${index})`) : plain;
    taken.add(name);
    return {
      name,
      admin: numberIn(column(columns.admin), index) ?? 0,
      oper: numberIn(column(columns.oper), index) ?? 0,
      speed: numberIn(column(columns.speed), index) ?? 0,
      errors: (numberIn(column(columns.inErrors), index) ?? 0) + (numberIn(column(columns.outErrors), index) ?? 0),
    };
  });
}

/**
 * Interfaces that should be up and are not, and errors that go on. A switch has many ports that are switched on and have
 * no cable: by default only one that was up before is missed.
 */
export function observeInterfaces(
  all: readonly NetworkInterface[],
  options: InterfaceOptions,
  context: CheckContext,
): Observation[] {
  const chosen = all.filter(({ name }) => matchesAny(name, options.names) && !matchesAny(name, options.ignore));
  if (chosen.length === 0) {
    const reason = all.length === 0 ? 'the device tells of no interface' : 'no interface has such a name';
    return [unseen({ condition: 'interface-down', resource: 'interfaces' }, reason)];
  }
  const before = new Set(rememberedTexts(context.memory, 'up') ?? []);
  for (const { name, oper, admin } of chosen) {
    if (oper === operUp) before.add(name);
    // Switched off by its owner: from then on it is not missed.
    if (admin === adminDown) before.delete(name);
  }
  remember(context.memory, 'up', [...before].slice(-maximumShown * 2));
  const counters = new Map(chosen.filter(({ errors }) => errors > 0).map(({ name, errors }) => [name, errors]));
  const rates = ratesOf({ key: 'errors', counters }, context);
  const states = chosen.map((one) => stateOf(one, options.expectUp === 'always' || before.has(one.name)));
  const bad = states.filter(({ reading }) => reading.is === 'state' && !reading.ok);
  return [
    summaryOf(chosen, bad.length),
    ...(states.length > maximumShown ? bad.slice(0, maximumShown) : states),
    ...[...rates].slice(0, maximumShown).flatMap(([name, rate]) => errorsOf(name, rate, options.errorsPerSecond)),
  ];
}

const adminDown = 2;
const operUp = 1;
/** `down` and `lowerLayerDown` of RFC 2863. */
const operDown = new Set([2, 7]);

function stateOf({ name, admin, oper, speed }: NetworkInterface, isMissed: boolean): Observation {
  const isDown = admin !== adminDown && operDown.has(oper);
  const text =
    oper === operUp ? `is up${speed > 0 ? ` with ${speed} Mb/s` : ''}` : isDown ? 'is down' : 'is not in use';
  return state({
    condition: 'interface-down',
    resource: name,
    labels: { interface: name },
    summary: `interface ${name} ${text}${isDown && !isMissed ? ' and never was up' : ''}`,
    ok: !(isDown && isMissed),
    severity: 'critical',
  });
}

function summaryOf(chosen: readonly NetworkInterface[], bad: number): Observation {
  const up = chosen.filter(({ oper }) => oper === operUp).length;
  return state({
    condition: 'interface-down',
    resource: 'interfaces',
    summary: `looked at ${counted(chosen.length, 'interface')}: ${up} up, ${bad} missed`,
    ok: true,
    severity: 'critical',
  });
}

function errorsOf(name: string, rate: number | undefined, warning: number): Observation[] {
  if (rate === undefined) return [];
  return [
    level({
      condition: 'interface-errors',
      resource: name,
      labels: { interface: name },
      summary: `interface ${name} had ${rate.toFixed(2)} errors a second`,
      value: rate,
      unit: '/s',
      bad: 'above',
      warning,
    }),
  ];
}

/** The table as lines of evidence, those that are down first. */
export function interfaceLines(all: readonly NetworkInterface[]): string[] {
  const words: Record<number, string> = {
    1: 'up',
    2: 'down',
    3: 'testing',
    5: 'dormant',
    6: 'not present',
    7: 'lower layer down',
  };
  return all
    .toSorted((a, b) => Number(a.oper === operUp) - Number(b.oper === operUp))
    .slice(0, 30)
    .map(({ name, admin, oper, speed, errors }) => {
      const state = `admin ${words[admin] ?? admin}, oper ${words[oper] ?? oper}`;
      return `${name}: ${state}, ${speed} Mb/s, ${counted(errors, 'error')}`;
    });
}
