import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { readCommand } from '#agents/sentinel/probes/command-reading.ts';
import { levels, spans } from '#agents/sentinel/probes/levels-option.ts';
import {
  isLoginRefusal,
  type MailQueue,
  mailLogScript,
  mailQueueScript,
  parseMailQueue,
} from '#agents/sentinel/probes/mail-queue.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember, rememberedTexts } from '#agents/sentinel/probes/remembered.ts';
import { splitSections } from '#agents/sentinel/probes/sections.ts';
import { counted, evidenceOf, resourceName } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  configFolder: z
    .string()
    .max(1_000)
    .regex(/^\//, { error: 'must be an absolute path' })
    .optional()
    .describe("Configuration of another Postfix than the host's own, such as /etc/postfix-out."),
  mails: levels({ warning: 20, critical: 100, most: 1_000_000 }).prefault({}).describe('Deferred mails.'),
  age: spans({ warning: '1h', critical: '6h' }).prefault({}).describe('Age of the oldest deferred mail.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'mail-queue',
  about: 'Mails that Postfix could not deliver yet: how many, how old, and whether the relay refuses the login.',
  options: Options,
  reach: 'host',
  resourceOf,
  observe,
  evidence: { about: 'the queue by reason and the last lines of the mail log', gather },
});

function resourceOf({ configFolder }: Options): string {
  return resourceName(configFolder === undefined ? 'mail queue' : `mail queue of ${configFolder}`);
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const resource = resourceOf(options);
  const down = { condition: 'mail-system-down', resource };
  const end = await context.probe.run(['sh', '-c', mailQueueScript, 'sh', options.configFolder ?? ''], {
    timeoutMs: context.timeoutMs,
    signal: context.signal,
    maximumOutputBytes: 1_048_576,
  });
  const answer = readCommand(end);
  if (!answer.ok) return [unseen(down, answer.reason)];
  const sections = splitSections(answer.text);
  if (sections.has('missing')) return [unseen(down, 'the host has no "postqueue": Postfix is not installed there')];
  const now = Number(sections.get('now')?.text.trim());
  const queue = parseMailQueue(sections.get('queue')?.text ?? '');
  if (queue === undefined || !Number.isInteger(now) || now <= 0)
    return [unseen(down, 'the host did not run the script')];
  return judge(queue, { options, context, now });
}

interface Surroundings {
  options: Options;
  context: CheckContext;
  /** The host's own time, epoch s. */
  now: number;
}

function judge(queue: MailQueue, of: Surroundings): Observation[] {
  const resource = resourceOf(of.options);
  const down = { condition: 'mail-system-down', resource };
  const message = queue.messages.find((line) => /mail system is down/i.test(line));
  // Root reads the queue although nothing runs, with a warning and status 0.
  const isDown = message !== undefined;
  if (isDown && queue.status !== 0) {
    const summary = `Postfix does not run: ${message}`;
    return [state({ ...down, summary, ok: false, severity: 'critical', hidesRest: true })];
  }
  if (queue.status !== 0) {
    return [unseen(down, `"postqueue" ended with status ${queue.status}: ${queue.messages.join(' ')}`)];
  }
  remember(
    of.context.memory,
    'reasons',
    queue.reasons.map(({ reason, mails }) => `${counted(mails, 'mail')}: ${reason}`),
  );
  return [
    state({
      ...down,
      summary: isDown ? 'Postfix does not run; its queue was read' : `Postfix runs: ${countsText(queue)}`,
      ok: !isDown,
      severity: 'critical',
    }),
    ...deferredObservations(queue, of),
    loginObservation(queue, resource),
  ];
}

function countsText(queue: MailQueue): string {
  const shown = [...queue.counts].map(([name, { mails }]) => `${mails} ${name}`);
  return shown.length === 0 ? 'its queue is empty' : shown.join(', ');
}

function deferredObservations(queue: MailQueue, { options, now }: Surroundings): Observation[] {
  const resource = resourceOf(options);
  const deferred = queue.counts.get('deferred') ?? { mails: 0, oldest: 0 };
  const ageSeconds = deferred.oldest === 0 ? 0 : Math.max(0, now - deferred.oldest);
  const [first] = queue.reasons;
  const why = first === undefined ? '' : `, most for: ${first.reason}`;
  const labels = { queue: 'deferred' };
  return [
    level({
      condition: 'mail-queue-long',
      resource,
      labels,
      summary: `${counted(deferred.mails, 'mail')} deferred${why}`,
      value: deferred.mails,
      unit: 'mails',
      bad: 'above',
      warning: options.mails.warning,
      critical: options.mails.critical,
    }),
    level({
      condition: 'mail-queue-old',
      resource,
      labels,
      summary: `the oldest deferred mail has waited ${formatDuration(ageSeconds * 1_000)}${why}`,
      value: ageSeconds,
      unit: 's',
      bad: 'above',
      warning: options.age.warning / 1_000,
      critical: options.age.critical / 1_000,
    }),
  ];
}

function loginObservation(queue: MailQueue, resource: string): Observation {
  const refused = queue.reasons.find(({ reason }) => isLoginRefusal(reason));
  return state({
    condition: 'relay-login-refused',
    resource,
    summary:
      refused === undefined
        ? 'no mail waits because a login was refused'
        : `the relay refuses the login, ${counted(refused.mails, 'mail')}: ${refused.reason}`,
    ok: refused === undefined,
    severity: 'critical',
  });
}

async function gather(_options: Options, context: CheckContext): Promise<Evidence[]> {
  const reasons = evidenceOf('state', 'Queue by reason', rememberedTexts(context.memory, 'reasons') ?? []);
  const end = await context.probe.run(['sh', '-c', mailLogScript, 'sh'], {
    timeoutMs: 5_000,
    signal: context.signal,
    maximumOutputBytes: 131_072,
  });
  const answer = readCommand(end);
  const lines = answer.ok ? (splitSections(answer.text).get('log')?.text.split('\n') ?? []) : [];
  return [...reasons, ...evidenceOf('log', 'Mail log', lines)];
}
