import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { asRootHead, sudoOption, sudoValue } from '#agents/sentinel/probes/as-root.ts';
import { type Change, driftOf } from '#agents/sentinel/probes/drift.ts';
import { askHost, linesOf, partFailure, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { parseJournal } from '#agents/sentinel/probes/journal.ts';
import { isMeant, openPorts, type OpenPort, ownerOf, portRule, rulesOf } from '#agents/sentinel/probes/port-rules.ts';
import { firstEphemeralPort } from '#agents/sentinel/probes/ports.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { parseSockets } from '#agents/sentinel/probes/sockets.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const shownPorts = 200;

const rules = z.array(portRule()).max(300);

const Options = z.strictObject({
  allow: rules
    .optional()
    .describe(
      'All ports that may be open to others, such as `22/tcp`, `443/tcp caddy`, `8000-8100/tcp`. Absent: those of the first look.',
    ),
  expect: rules.default([]).describe('Ports that have to be open to others.'),
  localOnly: rules
    .default(['2375/tcp'])
    .describe(
      'Ports that may be open to this host only, `*/tcp crowdsec` for all of a program. Default: Docker without TLS.',
    ),
  quietAfter: durationOr('24h').describe(
    'Without `allow`: a port that stays open so long is usual from then on; 0s: it never is.',
  ),
  sudo: sudoOption(['ss -Htulpn']),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'listening-ports',
  about: 'Ports that are newly open to others, open although they may not be, taken by another program, or missing.',
  options: Options,
  reach: 'host',
  resourceOf: () => 'ports',
  observe,
  evidence: { about: 'the program behind the port, its unit and what it logged', gather },
});

// The kernel names the control group of a socket to everybody, its process only to root; older ss knows no --cgroup.
const script = String.raw`${scriptHead}${asRootHead}
sockets() {
  if has ss; then { [ "$sudo" = yes ] && sudo -n ss -Htulpn; } || ss -Htulpn --cgroup 2>/dev/null || ss -Htulpn
  else for f in tcp tcp6 udp udp6; do [ -r /proc/net/$f ] && { echo "proc $f"; cat /proc/net/$f; }; done; true; fi
}
part sockets sockets
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const answer = await askHost(context, { script, values: [sudoValue(options.sudo)] });
  const nothing = { condition: 'port-new', resource: 'ports' };
  if (!answer.ok) return [unseen(nothing, answer.reason)];
  const section = answer.sections.get('sockets');
  if (section === undefined || section.code !== 0) return [unseen(nothing, partFailure(section, '"ss -Htulpn"'))];
  const ports = openPorts(parseSockets(section.text));
  const drift = options.allow === undefined ? learned(options, ports, context) : allowed(options.allow, ports);
  if (drift === undefined) return [unseen(nothing, 'more ports are open than are remembered: say which with "allow"')];
  return [
    state({
      condition: 'port-new',
      resource: 'ports',
      summary: `${counted(ports.length, 'port')} open to others: ${ports.slice(0, 12).map(described).join(', ') || 'none'}`,
      ok: true,
      severity: 'info',
    }),
    ...drift,
    ...exposed(options.localOnly, ports),
    ...missing(options.expect, ports),
  ];
}

function described(port: OpenPort): string {
  const owner = ownerOf(port);
  return owner === undefined ? port.name : `${port.name} (${oneLine(owner, 40)})`;
}

function labelsOf(port: OpenPort): Record<string, string> {
  return { port: String(port.port), protocol: port.protocol };
}

function allowed(texts: readonly string[], ports: readonly OpenPort[]): Observation[] {
  const allow = rulesOf(texts);
  return ports
    .filter((port) => !allow.some((rule) => isMeant(rule, port)))
    .slice(0, shownPorts)
    .map((port) =>
      state({
        condition: 'port-new',
        resource: port.name,
        labels: withOwner(port, ownerOf(port) ?? ''),
        summary: `${described(port)} is open to others on ${port.addresses.slice(0, 3).join(', ')} and not allowed`,
        ok: false,
        severity: 'warning',
      }),
    );
}

/** The owner of the first look that saw the port: a label that changes would be another finding. */
function withOwner(port: OpenPort, owner: string): Record<string, string> {
  return { ...labelsOf(port), ...(owner !== '' && { process: oneLine(owner, 80) }) };
}

/**
 * Without `allow` the first look is the usual state. A listener that takes any free port, as RPC services do, is
 * remembered by its program alone.
 */
function learned(options: Options, ports: readonly OpenPort[], context: CheckContext): Observation[] | undefined {
  const byKey = new Map(ports.map((port) => [keyOf(port), port]));
  const drift = driftOf(context.memory, 'ports', {
    values: new Map([...byKey].map(([key, port]) => [key, holderOf(port)])),
    at: context.clock.now(),
    quietAfterMs: options.quietAfter,
    noteOf: (key) => byKey.get(key)?.process ?? byKey.get(key)?.unit ?? '',
  });
  return drift?.changes.slice(0, shownPorts).flatMap((change): Observation[] => {
    const port = byKey.get(change.name);
    if (port === undefined) return [];
    if (change.was === undefined) return [newPort(port, change, options.quietAfter)];
    return isOtherHolder(change.was, change.is ?? '') ? [takenPort(port, change)] : [];
  });
}

function keyOf(port: OpenPort): string {
  const isAny = port.port >= firstEphemeralPort && port.process !== undefined;
  return isAny ? `*/${port.protocol} ${oneLine(port.process ?? '', 60)}` : port.name;
}

/** Process and unit, each `?` where it cannot be read. Only services keep their name; scopes are numbered. */
function holderOf(port: OpenPort): string {
  const unit = port.unit?.endsWith('.service') === true ? port.unit.slice(0, 22) : '?';
  return `${oneLine(port.process ?? '?', 15).replaceAll('|', '_')}|${unit}`;
}

function isOtherHolder(was: string, is: string): boolean {
  const before = was.split('|');
  return is.split('|').some((name, index) => name !== '?' && before[index] !== '?' && name !== before[index]);
}

function newPort(port: OpenPort, change: Change, quietAfterMs: number): Observation {
  const until = quietAfterMs > 0 ? `; usual after ${formatDuration(quietAfterMs)}` : '';
  return state({
    condition: 'port-new',
    resource: port.name,
    labels: withOwner(port, change.note),
    holdMs: 0,
    summary: `${described(port)} is newly open to others on ${port.addresses.slice(0, 3).join(', ')}${until}`,
    ok: false,
    severity: 'warning',
  });
}

function takenPort(port: OpenPort, change: Change): Observation {
  return state({
    condition: 'port-taken',
    resource: port.name,
    labels: withOwner(port, change.note),
    holdMs: 0,
    summary: `${port.name} belongs to ${holderText(change.is)} now, no longer to ${holderText(change.was)}`,
    ok: false,
    severity: 'warning',
  });
}

function holderText(holder = ''): string {
  return holder.split('|').find((name) => name !== '?' && name !== '') ?? 'an unknown program';
}

/** Meant for this host alone and open to others, as a database or CrowdSec's local API on 0.0.0.0. */
function exposed(texts: readonly string[], ports: readonly OpenPort[]): Observation[] {
  const localOnly = rulesOf(texts);
  return ports
    .filter((port) => localOnly.some((rule) => isMeant(rule, port)))
    .slice(0, shownPorts)
    .map((port) =>
      state({
        condition: 'port-exposed',
        resource: port.name,
        labels: labelsOf(port),
        holdMs: 0,
        summary: `${described(port)} is for this host only and is open to others on ${port.addresses.slice(0, 3).join(', ')}`,
        ok: false,
        severity: 'critical',
      }),
    );
}

function missing(texts: readonly string[], ports: readonly OpenPort[]): Observation[] {
  return rulesOf(texts).map((rule) => {
    const port = ports.find((open) => isMeant(rule, open));
    const range = rule.from === rule.to ? String(rule.from) : `${rule.from}-${rule.to}`;
    return state({
      condition: 'port-missing',
      resource: rule.text,
      labels: { port: range, protocol: rule.protocol },
      summary: port === undefined ? `nothing listens on ${rule.text}` : `${described(port)} is open`,
      ok: port !== undefined,
      severity: 'critical',
    });
  });
}

// The name of the program and its unit; arguments hold passwords and stay where they are.
const evidenceScript = String.raw`${scriptHead}${asRootHead}
holders() { { [ "$sudo" = yes ] && sudo -n ss -Htulpn; } || ss -Htulpn --cgroup 2>/dev/null || ss -Htulpn; }
line=$(holders | awk -v port=":$1" '{ n = length($5) - length(port) + 1; if (n > 0 && substr($5, n) == port) print }' | head -n 5)
part line printf '%s\n' "$line"
pid=$(printf %s "$line" | grep -o 'pid=[0-9]*' | head -n 1 | cut -d= -f2)
if [ -n "$pid" ]; then
  part process ps -o pid,ppid,user,lstart,comm -p "$pid"
  unit=$(grep -o '[A-Za-z0-9:_.@-]*\.service' "/proc/$pid/cgroup" | head -n 1)
else unit=$(printf %s "$line" | grep -o 'cgroup:[^ ]*' | grep -o '[A-Za-z0-9:_.@-]*\.service' | head -n 1); fi
if [ -n "$unit" ] && [ -d /run/systemd/system ]; then
  part unit limit 3 systemctl show -p Id,Description,FragmentPath,ActiveState,ActiveEnterTimestamp -- "$unit"
  part journal limit 3 journalctl --no-pager -o json -n 10 --unit="$unit"
fi
[ -r /var/log/dpkg.log ] && part packages sh -c 'tail -n 200 /var/log/dpkg.log | grep -E " (install|upgrade) " | tail -n 8'
`;

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const port = observation.labels?.['port'];
  if (port === undefined || !/^\d{1,5}$/.test(port)) return [];
  const values = [sudoValue(options.sudo), port];
  const answer = await askHost(context, { script: evidenceScript, values, timeoutMs: 5_000 });
  if (!answer.ok) return [];
  const { sections } = answer;
  return [
    ...evidenceOf('state', `Who listens on port ${port}`, [
      ...linesOf(sections, 'line'),
      ...linesOf(sections, 'process'),
    ]),
    ...evidenceOf('state', 'Its unit', linesOf(sections, 'unit')),
    ...evidenceOf('log', 'What it logged', parseJournal(sections.get('journal')?.text ?? '')),
    ...evidenceOf('change', 'Package changes (dpkg.log)', linesOf(sections, 'packages')),
  ];
}
