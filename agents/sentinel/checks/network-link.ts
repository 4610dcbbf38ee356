import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { ratesOf } from '#agents/sentinel/probes/counter-rate.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { askHost, linesOf, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { changesOf, flappingMs, type KnownLink, rememberLinks } from '#agents/sentinel/probes/link-memory.ts';
import { type NetworkLink, parseLinks, speedText } from '#agents/sentinel/probes/network-links.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const all = 'network adapters';
const flappingChanges = 4;

const AdapterName = z.string().regex(/^[A-Za-z0-9_.:@-]{1,15}$/, 'must be the name of an adapter such as eno1');

const Link = z.strictObject({
  name: AdapterName.describe('Its name, such as eno1.'),
  speed: z
    .number()
    .int()
    .min(1)
    .optional()
    .describe('Mb/s that it must have, such as 2500. Absent: what it once had while it was watched.'),
});
type Link = z.output<typeof Link>;

const Options = z.strictObject({
  links: z
    .array(Link)
    .max(50)
    .default([])
    .describe('Adapters that have to work. Beside them all of the hardware are watched that had a cable once.'),
  ignore: z.array(z.string().max(60)).max(50).default([]).describe('Adapters to leave out; `*` stands for any text.'),
  errors: z
    .number()
    .positive()
    .default(1)
    .describe('Damaged or lost frames per second where a warning begins: a cable or a plug.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'network-link',
  about:
    'Network adapters of a host: without a cable, slower than they should be, half duplex, flapping, or with damaged frames.',
  options: Options,
  reach: 'host',
  resourceOf: () => all,
  observe,
  evidence: { about: 'what the kernel and the adapter itself say of the link, and its counters', gather },
});

/** Argument: the folder of the adapters. */
const script = String.raw`${scriptHead}
set +f
folder=$1
value() { read_value=-; { read -r read_value < "$1"; } 2>/dev/null; printf '|%s' "$read_value"; }
there() { if [ -e "$1" ]; then printf '|yes'; else printf '|no'; fi; }
links() {
  for d in "$folder"/*; do
    [ -e "$d/flags" ] || continue
    printf '%s' "$(basename "$d")"
    there "$d/device"; there "$d/phy80211"; value "$d/flags"; value "$d/operstate"; value "$d/carrier"; value "$d/speed"
    value "$d/duplex"; value "$d/carrier_changes"; value "$d/statistics/rx_errors"; value "$d/statistics/tx_errors"
    echo
  done
}
part links links
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const answer = await askHost(context, { script, values: ['/sys/class/net'] });
  if (!answer.ok) return [blind(answer.reason)];
  const links = parseLinks(linesOf(answer.sections, 'links'));
  if (links.length === 0) return [blind('/sys/class/net shows no adapter')];
  const named = new Map(options.links.map((link) => [link.name, link]));
  const hardware = links.filter(
    ({ name, isPhysical, isWireless }) =>
      isPhysical && !isWireless && !named.has(name) && !matchesAny(name, options.ignore),
  );
  if (hardware.length === 0 && named.size === 0) {
    return [blind('the host has no adapter of its own, as in a container: name those that have to work')];
  }
  return judge({ links, hardware, named: [...named.values()] }, { options, context });
}

interface Adapters {
  links: readonly NetworkLink[];
  hardware: readonly NetworkLink[];
  named: readonly Link[];
}

interface Of {
  options: Options;
  context: CheckContext;
}

function judge(of: Adapters, { options, context }: Of): Observation[] {
  const wanted = of.named.map((wish) => ({ wish, link: of.links.find(({ name }) => name === wish.name) }));
  const others = of.hardware.map((link) => ({ wish: undefined, link }));
  const present = [...wanted, ...others].flatMap(({ link }) => (link === undefined ? [] : [link]));
  const known = rememberLinks(present, context);
  const rates = ratesOf({ key: 'errors', counters: countersOf(present) }, context);
  const up = present.filter(({ hasCarrier }) => hasCarrier).length;
  return [
    state({
      condition: 'link-down',
      resource: all,
      summary: `looked at ${counted(present.length, 'adapter')}, ${up} with a partner`,
      ok: true,
      severity: 'warning',
    }),
    ...wanted.flatMap(({ wish, link }) => (link === undefined ? [missing(wish.name)] : carrierOf(link, true))),
    ...others.flatMap(({ link }) => (known.get(link.name)?.wasUp === true ? carrierOf(link, false) : [])),
    ...[...wanted, ...others].flatMap(({ wish, link }) => {
      if (link === undefined || !link.hasCarrier) return [];
      const before = known.get(link.name);
      return [
        ...speedOf(link, { wanted: wish?.speed, once: before?.speed?.megabits }),
        ...flappingOf(link, before),
        ...errorsOf(link, { rate: rates.get(link.name), limit: options.errors }),
      ];
    }),
  ];
}

function blind(reason: string): Observation {
  return unseen({ condition: 'link-down', resource: all }, reason);
}

function said(condition: string, name: string) {
  return { condition, resource: name, labels: { interface: name } };
}

function missing(name: string): Observation {
  return state({
    ...said('link-down', name),
    summary: `the adapter ${name} is not there: it was renamed, or its hardware is gone`,
    ok: false,
    severity: 'critical',
  });
}

/** An adapter that nobody named and that was switched off is not missed. */
function carrierOf(link: NetworkLink, isNamed: boolean): Observation[] {
  if (!link.isOn && !isNamed) return [];
  const why = link.isOn ? 'has no partner: the cable, or the other end' : 'is switched off';
  return [
    state({
      ...said('link-down', link.name),
      summary: link.hasCarrier ? `${link.name} has a partner` : `${link.name} ${why}`,
      ok: link.hasCarrier,
      severity: isNamed ? 'critical' : 'warning',
    }),
  ];
}

function speedOf(link: NetworkLink, of: { wanted: number | undefined; once: number | undefined }): Observation[] {
  const found: Observation[] = [];
  const least = of.wanted ?? of.once;
  if (link.speed === undefined && of.wanted !== undefined) {
    found.push(unseen(said('link-slow', link.name), 'the adapter tells no speed'));
  }
  if (link.speed !== undefined && least !== undefined) {
    const more = of.wanted === undefined ? 'it once had' : 'it must have';
    found.push(
      state({
        ...said('link-slow', link.name),
        summary: `${link.name} runs at ${speedText(link.speed)}${link.speed < least ? `, ${more} ${speedText(least)}: often one wire of the cable` : ''}`,
        ok: link.speed >= least,
        severity: 'warning',
      }),
    );
  }
  if (link.duplex !== undefined) {
    const ok = link.duplex === 'full';
    const summary = ok ? `${link.name} runs full duplex` : `${link.name} runs half duplex: the two ends did not agree`;
    found.push(state({ ...said('link-half-duplex', link.name), summary, ok, severity: 'warning' }));
  }
  return found;
}

function flappingOf(link: NetworkLink, known: KnownLink | undefined): Observation[] {
  if (link.carrierChanges === undefined || known === undefined) return [];
  const changes = changesOf(known);
  return [
    state({
      ...said('link-flapping', link.name),
      holdMs: 0,
      summary: `${link.name} lost or found its partner ${counted(changes, 'time')} within ${formatDuration(flappingMs)}`,
      ok: changes < flappingChanges,
      severity: 'warning',
    }),
  ];
}

function countersOf(links: readonly NetworkLink[]): Map<string, number> {
  return new Map(links.flatMap(({ name, errors }) => (errors === undefined ? [] : [[name, errors] as const])));
}

function errorsOf(link: NetworkLink, of: { rate: number | undefined; limit: number }): Observation[] {
  if (of.rate === undefined) return [];
  const value = Math.round(of.rate * 100) / 100;
  const summary = `${link.name} has ${value} damaged or lost frames per second`;
  return [
    level({
      ...said('link-errors', link.name),
      summary,
      value,
      unit: 'frames/s',
      bad: 'above',
      warning: of.limit,
    }),
  ];
}

const evidenceScript = String.raw`${scriptHead}
kernel() { limit 3 journalctl -k --no-pager -o short-iso -n 3000 2>/dev/null | grep -F -- "$1" | tail -n 15; true; }
part kernel kernel "$1"
part adapter limit 2 ethtool "$1"
part counters limit 2 ip -s -s link show dev "$1"
`;

async function gather(_options: Options, context: CheckContext, { labels }: Observation): Promise<Evidence[]> {
  const name = AdapterName.safeParse(labels?.['interface']).data;
  if (name === undefined || name.startsWith('-')) return [];
  const answer = await askHost(context, { script: evidenceScript, values: [name], timeoutMs: 5_000 });
  if (!answer.ok) return [];
  const titles = { kernel: 'Kernel', adapter: 'What the adapter says', counters: 'Counters' };
  return Object.entries(titles).flatMap(([part, title]) =>
    answer.sections.get(part)?.code === 0
      ? evidenceOf(part === 'kernel' ? 'log' : 'state', title, linesOf(answer.sections, part))
      : [],
  );
}
