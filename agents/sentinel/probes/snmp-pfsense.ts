import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { level, state, unseen } from './reading.ts';
import { ratesOf } from './counter-rate.ts';
import { numberIn, type SnmpValue } from './snmp.ts';
import { restartedSince } from './uptime-drop.ts';

/** BEGEMOT-PF-MIB, as bsnmpd of pfSense and OPNsense has it. */
const pf = '1.3.6.1.4.1.12325.1.200.1';
const oids = {
  running: `${pf}.1.1.0`,
  /** Hundredths of a second. */
  runtime: `${pf}.1.2.0`,
  memoryDrops: `${pf}.2.6.0`,
  states: `${pf}.3.1.0`,
  stateLimit: `${pf}.5.1.0`,
};

export const pfsenseOids = Object.values(oids);

const resource = 'packet filter';

/** What a pfSense says of its packet filter. */
export function observePfsense(values: ReadonlyMap<string, SnmpValue>, context: CheckContext): Observation[] {
  const off = { condition: 'packet-filter-off', resource };
  const running = numberIn(values, oids.running);
  if (running === undefined) {
    return [unseen(off, 'the device does not know BEGEMOT-PF-MIB: switch on the PF module of its SNMP service')];
  }
  return [
    // A TruthValue (RFC 2579): 1 is true, 2 is false.
    state({
      ...off,
      summary: running === 1 ? 'the packet filter runs' : 'the packet filter is switched off: nothing is filtered',
      ok: running === 1,
      severity: 'critical',
    }),
    ...observeRuntime(values, context),
    ...observeStates(values),
    ...observeDrops(values, context),
  ];
}

function observeRuntime(values: ReadonlyMap<string, SnmpValue>, context: CheckContext): Observation[] {
  const runtime = numberIn(values, oids.runtime);
  if (runtime === undefined) return [];
  const restarted = restartedSince({ key: 'pf', uptimeMs: runtime * 10, wrapsAtMs: 0x1_0000_0000 * 10 }, context);
  return [
    state({
      condition: 'packet-filter-restarted',
      resource,
      summary: restarted ? 'the packet filter was started again' : 'the packet filter has run on',
      ok: !restarted,
      severity: 'info',
      holdMs: 0,
    }),
  ];
}

function observeStates(values: ReadonlyMap<string, SnmpValue>): Observation[] {
  const states = numberIn(values, oids.states);
  const limit = numberIn(values, oids.stateLimit);
  if (states === undefined || limit === undefined || limit <= 0) return [];
  const percent = (states / limit) * 100;
  return [
    level({
      condition: 'state-table-full',
      resource,
      summary: `the state table holds ${states} of ${limit} connections, ${percent.toFixed(1)} %`,
      value: percent,
      unit: '%',
      bad: 'above',
      warning: 80,
      critical: 95,
    }),
  ];
}

function observeDrops(values: ReadonlyMap<string, SnmpValue>, context: CheckContext): Observation[] {
  const drops = numberIn(values, oids.memoryDrops);
  if (drops === undefined) return [];
  const rate = ratesOf({ key: 'drops', counters: new Map([['drops', drops]]) }, context).get('drops');
  return [
    state({
      condition: 'packet-filter-out-of-memory',
      resource,
      summary:
        rate === undefined || rate === 0
          ? 'the packet filter drops nothing for want of memory'
          : `the packet filter drops ${rate.toFixed(1)} packets a second for want of memory`,
      ok: rate === undefined || rate === 0,
      severity: 'warning',
    }),
  ];
}
