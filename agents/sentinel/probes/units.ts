import type { Severity } from '#bus/fields.ts';

/** What systemd says of one unit. */
export interface Unit {
  id: string;
  load: string;
  active: string;
  sub: string;
  result: string;
  type: string;
  restarts: number;
  exitStatus: number;
  triggeredBy: string[];
  triggers: string[];
  conditionResult: boolean;
}

/** `systemctl show a b`: blocks of `Key=Value` lines with a blank line between. Values may hold `=`. */
export function parseUnits(text: string): Unit[] {
  const units: Unit[] = [];
  let block = new Map<string, string>();
  for (const line of [...text.split('\n'), '']) {
    const at = line.indexOf('=');
    if (at > 0) block.set(line.slice(0, at), line.slice(at + 1));
    else if (line === '' && block.size > 0) {
      const unit = unitOf(block);
      if (unit.id !== '') units.push(unit);
      block = new Map();
    }
  }
  return units;
}

function unitOf(block: ReadonlyMap<string, string>): Unit {
  const text = (key: string): string => block.get(key) ?? '';
  const words = (key: string): string[] => text(key).split(' ').filter(Boolean);
  return {
    id: text('Id'),
    load: text('LoadState'),
    active: text('ActiveState'),
    sub: text('SubState'),
    result: text('Result'),
    type: text('Type'),
    // `[not set]` for kinds of units that have no such number.
    restarts: Number.parseInt(text('NRestarts'), 10) || 0,
    exitStatus: Number.parseInt(text('ExecMainStatus'), 10) || 0,
    triggeredBy: words('TriggeredBy'),
    triggers: words('Triggers'),
    conditionResult: text('ConditionResult') !== 'no',
  };
}

/** What is thought of a unit: fine, sick, or not to be judged. */
export type UnitVerdict =
  | { is: 'ok'; text: string }
  | { is: 'bad'; text: string; severity: Severity }
  | { is: 'absent'; text: string };

/** A unit that the configuration names: it has to work, or to have worked when its turn was. */
export function judgeNamed(unit: Unit): UnitVerdict {
  // `systemctl show` of a unit that does not exist ends with 0 and says inactive and success.
  if (runsWithoutUnit(unit)) {
    return { is: 'bad', text: 'runs but its unit is no longer there: it will not start again', severity: 'critical' };
  }
  if (unit.load === 'not-found') return { is: 'absent', text: 'does not exist' };
  if (unit.load !== 'loaded') return { is: 'bad', text: `is ${unit.load}`, severity: 'critical' };
  switch (unit.active) {
    case 'active':
    case 'reloading':
    case 'refreshing':
    case 'activating':
    case 'deactivating':
      return { is: 'ok', text: `is ${unit.active} (${unit.sub})` };
    case 'inactive':
      return judgeInactive(unit);
    default:
      return { is: 'bad', text: failureText(unit), severity: 'critical' };
  }
}

/** Its file was deleted underneath, as by the removal of its package, and systemd has read its units anew since. */
export function runsWithoutUnit(unit: Unit): boolean {
  return unit.load === 'not-found' && unit.active === 'active';
}

/** Something that works and ends, or works when it is called, is well between its turns. */
function judgeInactive(unit: Unit): UnitVerdict {
  const endsByItself = unit.type === 'oneshot' || unit.triggeredBy.length > 0 || !unit.conditionResult;
  if (unit.result === 'success' && endsByItself) return { is: 'ok', text: 'is inactive between its turns' };
  if (unit.result !== 'success') return { is: 'bad', text: failureText(unit), severity: 'critical' };
  return { is: 'bad', text: 'is inactive', severity: 'critical' };
}

/** The unit that a timer starts: its last end is the timer's result. */
export function judgeTriggered(unit: Unit): UnitVerdict {
  if (unit.load === 'not-found')
    return { is: 'bad', text: `starts ${unit.id}, which does not exist`, severity: 'critical' };
  if (unit.active === 'failed' || (unit.result !== 'success' && unit.result !== '')) {
    return { is: 'bad', text: `starts ${unit.id}, which ${failureText(unit)}`, severity: 'critical' };
  }
  return { is: 'ok', text: `starts ${unit.id}, whose last result is success` };
}

export function failureText(unit: Unit): string {
  const status = unit.exitStatus === 0 ? '' : `, status ${unit.exitStatus}`;
  return `is ${unit.active} (${unit.result === '' ? unit.sub : unit.result}${status})`;
}

/** Between two starts of a loop. */
export function isAutoRestarting(unit: Unit): boolean {
  return unit.active === 'activating' && unit.sub.startsWith('auto-restart');
}

/**
 * Fail in unprivileged containers because the kernel is the node's, and nothing is missing for it:
 * https://pve.proxmox.com/wiki/Linux_Container.
 */
export const harmlessInContainers: readonly string[] = [
  '*-wait-online.service',
  'binfmt-support.service',
  'dev-hugepages.mount',
  'dev-mqueue.mount',
  'proc-sys-fs-binfmt_misc.*',
  'run-lock.mount',
  'run-rpc_pipefs.mount',
  'sys-fs-fuse-connections.mount',
  'sys-kernel-config.mount',
  'sys-kernel-debug.mount',
  'sys-kernel-tracing.mount',
  'systemd-binfmt.service',
  'systemd-journald-audit.socket',
  'systemd-modules-load.service',
  'systemd-sysctl.service',
  'systemd-udev*',
];
