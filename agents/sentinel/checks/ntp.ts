import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { resolveAddresses } from '#agents/sentinel/probes/addresses.ts';
import { type Endpoint, endpointText } from '#agents/sentinel/probes/endpoint.ts';
import { spans } from '#agents/sentinel/probes/levels-option.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember, rememberedTexts } from '#agents/sentinel/probes/remembered.ts';
import { askNtp, type NtpAnswer, type NtpEnd } from '#agents/sentinel/probes/sntp.ts';
import { evidenceOf, resourceName } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  address: z.string().min(1).max(255).describe('Name or address of the time server.'),
  port: z.number().int().min(1).max(65_535).default(123).describe('UDP port.'),
  offset: spans({ warning: '500ms', critical: '10s' })
    .prefault({})
    .describe('Difference to the clock of this machine.'),
  stratumAtMost: z
    .number()
    .int()
    .min(1)
    .max(15)
    .default(10)
    .describe('Farther from a reference clock than that does not count as synchronised.'),
  dispersionAtMost: durationOr('2s').describe('How unsure of its own time the server may be (root dispersion).'),
  giveUpAfter: durationOr('3s').describe('No answer for so long means down. Shorter than `timeout`.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'ntp',
  about: 'Whether a time server answers, is synchronised itself, and agrees with the clock of this machine.',
  options: Options,
  reach: 'network',
  resourceOf: endpointOf,
  observe,
  evidence: { about: 'the last answer in full and the addresses of the name', gather },
});

function serverOf({ address, port }: Options): Endpoint {
  return { address, port };
}

function endpointOf(options: Options): string {
  return resourceName(endpointText(serverOf(options)));
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const resource = endpointOf(options);
  const down = { condition: 'ntp-down', resource, hidesRest: true };
  const end = await askNtp({ server: serverOf(options), giveUpAfterMs: options.giveUpAfter }, context);
  remember(context.memory, 'answer', answerLines(end));
  switch (end.is) {
    case 'unable':
      return [unseen(down, end.reason)];
    case 'refused':
      return [unseen(down, `it wants to be left alone (${end.code})`)];
    case 'silent':
      return [state({ ...down, summary: `${resource} gives no time: ${end.reason}`, ok: false, severity: 'critical' })];
    case 'answered':
      return [
        state({ ...down, summary: `${resource} gives the time`, ok: true, severity: 'critical' }),
        ...judge(options, end.answer),
      ];
  }
}

function judge(options: Options, answer: NtpAnswer): Observation[] {
  const resource = endpointOf(options);
  const fault = synchronisationFault(options, answer);
  const said = `${resource}: stratum ${answer.stratum}, follows ${answer.reference || 'nothing'}`;
  const unsynchronised = state({
    condition: 'ntp-unsynchronised',
    resource,
    summary: fault === undefined ? said : `${said}: ${fault}`,
    ok: fault === undefined,
    severity: 'warning',
  });
  // The time of a server that has none is no measure of ours.
  if (fault !== undefined) return [unsynchronised];
  const seconds = answer.offsetMs / 1_000;
  return [
    unsynchronised,
    level({
      condition: 'clock-offset',
      resource,
      summary: `the clock of this machine is ${Math.abs(seconds).toFixed(3)} s ${seconds > 0 ? 'behind' : 'ahead of'} ${resource}`,
      // What the way there and back may have added is no difference of clocks.
      value: Math.max(0, Math.abs(answer.offsetMs) - answer.delayMs / 2) / 1_000,
      unit: 's',
      bad: 'above',
      warning: options.offset.warning / 1_000,
      critical: options.offset.critical / 1_000,
    }),
  ];
}

function synchronisationFault(options: Options, answer: NtpAnswer): string | undefined {
  if (answer.leap === 3) return 'it says that it is not synchronised';
  if (answer.stratum > options.stratumAtMost) return `stratum above ${options.stratumAtMost}`;
  // Half the way to the reference and back may be unevenly long (RFC 5905, root distance).
  const distanceMs = answer.rootDispersionMs + answer.rootDelayMs / 2;
  if (distanceMs <= options.dispersionAtMost) return undefined;
  return `it is unsure of its time by ${(distanceMs / 1_000).toFixed(1)} s`;
}

function answerLines(end: NtpEnd): string[] {
  switch (end.is) {
    case 'refused':
      return [`kiss of death: ${end.code}`];
    case 'silent':
    case 'unable':
      return [end.reason];
    case 'answered': {
      const { answer } = end;
      return [
        `stratum ${answer.stratum}, leap ${answer.leap}, reference ${answer.reference}`,
        `offset ${answer.offsetMs.toFixed(1)} ms, delay ${answer.delayMs.toFixed(1)} ms`,
        `root delay ${answer.rootDelayMs.toFixed(1)} ms, root dispersion ${answer.rootDispersionMs.toFixed(1)} ms`,
      ];
    }
  }
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  return [
    ...evidenceOf('state', `Last answer of ${endpointOf(options)}`, rememberedTexts(context.memory, 'answer') ?? []),
    ...(await resolveAddresses(options.address, context.signal)),
  ];
}
