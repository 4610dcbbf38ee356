import type { Observation } from '#agents/sentinel/check.ts';
import type { Severity } from '#bus/fields.ts';
import { state } from './reading.ts';
import { counted, oneLine } from './text.ts';

/** What is pending, and since when security updates are: JSON, kept between the rare looks of apt. */
interface PendingUpdates {
  at: number;
  total: number;
  security: string[];
  /** Epoch ms of the first look that saw the oldest of them. */
  firstSeen: Record<string, number>;
}

const dayMs = 86_400_000;
const instLine = /^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) ([^)]*)\)/;
// Debian writes `Debian-Security:12/oldstable-security`, Ubuntu `Ubuntu:24.04/noble-security`. Suites such as `stable`
// change their meaning with each release and tell nothing.
const securityOrigin = /Debian-Security:|\/\S+-security\b/;
const maximumPackages = 200;

/** `apt-get -s upgrade`: `Inst PKG [OLD] (NEW ORIGIN:VER/SUITE [ARCH])`. */
export function parseUpdates(text: string): { total: number; security: string[] } {
  const security: string[] = [];
  let total = 0;
  for (const line of text.split('\n')) {
    const match = instLine.exec(line);
    if (match === null) continue;
    total += 1;
    if (securityOrigin.test(match[3] ?? '') && security.length < maximumPackages) {
      security.push(oneLine(`${match[1]} ${match[2]}`, 120));
    }
  }
  return { total, security };
}

export function rememberUpdates(
  memory: PendingUpdates | undefined,
  found: { total: number; security: string[] },
  now: number,
): PendingUpdates {
  const firstSeen: Record<string, number> = {};
  for (const update of found.security) {
    // A newer version of a package that was never updated does not make its user any safer.
    const name = update.split(' ')[0] ?? update;
    firstSeen[name] = memory?.firstSeen[name] ?? now;
  }
  return { at: now, ...found, firstSeen };
}

export function observeUpdates(
  pending: PendingUpdates,
  now: number,
  limits: { warningMs: number; criticalMs: number },
): Observation {
  const oldest = Math.min(now, ...Object.values(pending.firstSeen));
  const ageMs = now - oldest;
  const severity: Severity = ageMs >= limits.criticalMs ? 'critical' : ageMs >= limits.warningMs ? 'warning' : 'info';
  const names = Object.keys(pending.firstSeen);
  const listed = names.slice(0, 5).join(', ');
  const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
  const days = Math.floor(ageMs / dayMs);
  const age = days === 0 ? '' : ` for ${counted(days, 'day')}`;
  return state({
    condition: 'security-updates',
    resource: 'packages',
    holdMs: 0,
    summary:
      names.length === 0
        ? `no security updates pending (${counted(pending.total, 'other update')})`
        : `${counted(names.length, 'security update')} pending${age}: ${listed}${more}`,
    ok: names.length === 0,
    severity,
  });
}

export function isPendingUpdates(value: unknown): value is PendingUpdates {
  return (
    value !== null &&
    typeof value === 'object' &&
    'at' in value &&
    typeof value.at === 'number' &&
    'security' in value &&
    Array.isArray(value.security) &&
    'firstSeen' in value &&
    value.firstSeen !== null &&
    typeof value.firstSeen === 'object'
  );
}
