import { z } from 'zod';
import { durationOr } from '#config/duration.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { asRootHead, isRefused, rootHint, sudoOption, sudoValue } from '#agents/sentinel/probes/as-root.ts';
import {
  observeBouncer,
  observeHub,
  observeMachine,
  parseBouncers,
  parseHub,
  parseMachines,
} from '#agents/sentinel/probes/cscli.ts';
import { askHost, linesOf, partFailure, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import type { Section } from '#agents/sentinel/probes/sections.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const machinesCommand = '/usr/bin/cscli machines list -o json';
const bouncersCommand = '/usr/bin/cscli bouncers list -o json';
const hubCommand = '/usr/bin/cscli hub list -o json';
const maximumEach = 100;

const names = z.array(z.string().min(1).max(200)).max(100).default([]);
const Options = z.strictObject({
  machineSilentAfter: durationOr('5m').describe('An engine that was not heard of for so long is silent.'),
  bouncerSilentAfter: durationOr('2m').describe('A bouncer that did not pull for so long is silent.'),
  ignoreMachines: names.describe(
    'Machines to leave out, such as the login that Lares itself has; `*` stands for any text.',
  ),
  ignoreBouncers: names.describe('Bouncers to leave out; `*` stands for any text.'),
  config: z
    .string()
    .regex(/^\/[\w./-]{1,200}$/, 'must be a whole path')
    .optional()
    .describe(
      'Configuration of CrowdSec where it is not the usual one; sudoers then allows the commands with `-c` of it.',
    ),
  sudo: sudoOption([machinesCommand, bouncersCommand, hubCommand]),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'crowdsec-host',
  about:
    'CrowdSec by its own tool on its host: engines that are silent or not validated, bouncers that pull no more, scenarios that are missing or old.',
  options: Options,
  reach: 'host',
  resourceOf: () => 'crowdsec',
  observe,
  evidence: { about: 'what the units of CrowdSec and its bouncers said last', gather },
});

/** Errors go to stderr as JSON lines, and a warning may stand there before a good answer. */
const script = String.raw`${scriptHead}${asRootHead}
config=$1
if ! [ -x /usr/bin/cscli ]; then part none true; part done true; exit 0; fi
quiet() { out=$("$@" 2>/dev/null); code=$?; if [ $code = 0 ]; then printf '%s\n' "$out"; else "$@" 2>&1; fi; return $code; }
part now date +%s
part machines quiet as_root /usr/bin/cscli $config machines list -o json
part bouncers quiet as_root /usr/bin/cscli $config bouncers list -o json
part hub quiet as_root /usr/bin/cscli $config hub list -o json
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const values = [sudoValue(options.sudo), options.config === undefined ? '' : `-c ${options.config}`];
  const answer = await askHost(context, { script, values });
  const blind = (condition: string, resource: string, reason: string): Observation =>
    unseen({ condition, resource }, reason);
  if (!answer.ok) return [blind('machine-silent', 'engines', answer.reason)];
  const { sections } = answer;
  if (sections.has('none')) return [blind('machine-silent', 'engines', 'there is no /usr/bin/cscli on this host')];
  // Its own clock wrote the times.
  const seconds = Number(sections.get('now')?.text.trim());
  const now = Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : context.clock.now();
  const machines = listed(sections.get('machines'), parseMachines, 'the engines of CrowdSec');
  const bouncers = listed(sections.get('bouncers'), parseBouncers, 'the bouncers of CrowdSec');
  const engines = options.machineSilentAfter;
  const pulls = options.bouncerSilentAfter;
  return [
    ...('reason' in machines
      ? [blind('machine-silent', 'engines', machines.reason)]
      : machines.list
          .filter(({ machineId }) => !matchesAny(machineId, options.ignoreMachines))
          .flatMap((machine) => observeMachine(machine, { now, limitMs: engines }))),
    ...('reason' in bouncers
      ? [blind('bouncer-silent', 'bouncers', bouncers.reason)]
      : bouncers.list
          .filter(({ name }) => !matchesAny(name, options.ignoreBouncers))
          .map((bouncer) => observeBouncer(bouncer, { now, limitMs: pulls }))),
    ...summaryOf(machines, bouncers),
    ...lookAtHub(sections.get('hub')),
  ];
}

type Listed<T> = { list: T[] } | { reason: string };

function lookAtHub(section: Section | undefined): Observation[] {
  const hub = listed(section, (text) => wrapped(parseHub(text)), 'the hub of CrowdSec');
  if ('reason' in hub) return [unseen({ condition: 'crowdsec-no-scenarios', resource: 'hub' }, hub.reason)];
  return hub.list.flatMap(observeHub);
}

function wrapped<T>(value: T | undefined): T[] | undefined {
  return value === undefined ? undefined : [value];
}

function listed<T>(section: Section | undefined, parse: (text: string) => T[] | undefined, what: string): Listed<T> {
  if (section?.code !== 0) {
    if (isRefused(section?.text ?? '')) return { reason: rootHint(what) };
    return { reason: partFailure(section, 'cscli') };
  }
  const list = parse(section.text);
  return list === undefined
    ? { reason: `what cscli says about ${what} cannot be read` }
    : { list: list.slice(0, maximumEach) };
}

function summaryOf(machines: Listed<unknown>, bouncers: Listed<unknown>): Observation[] {
  if ('reason' in machines || 'reason' in bouncers) return [];
  return [
    state({
      condition: 'crowdsec-unguarded',
      resource: 'crowdsec',
      summary: `CrowdSec knows ${counted(machines.list.length, 'engine')} and ${counted(bouncers.list.length, 'bouncer')}${bouncers.list.length === 0 ? ': nobody enforces what it decides' : ''}`,
      ok: bouncers.list.length > 0,
      severity: 'info',
    }),
  ];
}

const journalScript = String.raw`${scriptHead}
part journal limit 4 journalctl --no-pager -o short-iso -n 25 -u crowdsec.service -u crowdsec-firewall-bouncer.service
`;

async function gather(_options: Options, context: CheckContext): Promise<Evidence[]> {
  const answer = await askHost(context, { script: journalScript, timeoutMs: 5_000 });
  if (!answer.ok) return [];
  return evidenceOf('log', 'Journal of CrowdSec and its bouncer', linesOf(answer.sections, 'journal'));
}
