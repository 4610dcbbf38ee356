import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { observeLifetime } from '#agents/sentinel/probes/certificate.ts';
import { type CertificateFile, parseCertificateFiles } from '#agents/sentinel/probes/certificate-files.ts';
import { observeRenewal } from '#agents/sentinel/probes/certificate-renewal.ts';
import { certificateEvidenceScript, certificateScript, renewers } from '#agents/sentinel/probes/certificate-script.ts';
import { observeServed } from '#agents/sentinel/probes/certificate-served.ts';
import { readCommand } from '#agents/sentinel/probes/command-reading.ts';
import { fewAtOnce } from '#agents/sentinel/probes/few-at-once.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { parseJournal } from '#agents/sentinel/probes/journal.ts';
import { unseen } from '#agents/sentinel/probes/reading.ts';
import { type Section, splitSections } from '#agents/sentinel/probes/sections.ts';
import { starttlsProtocols } from '#agents/sentinel/probes/starttls.ts';
import { evidenceOf, resourceName } from '#agents/sentinel/probes/text.ts';

const timeoutMs = 20_000;
/** 200 files with chains of 6 kB and room for more. */
const maximumOutputBytes = 2_097_152;
const maximumHandshakes = 40;

/** A fixed folder at the root, then names in which `*` may stand; no way up. */
const FilePattern = z
  .string()
  .max(300)
  .regex(
    /^\/[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._@+~*-]+)+$/,
    'must be an absolute path, with * for any name below its root',
  )
  .refine((path) => !path.split('/').includes('..'), { error: 'must not hold ".."' });

const ServedAt = z.strictObject({
  file: z.string().min(1).max(300).default('*').describe('Which of the files; `*` stands for any text.'),
  address: z.string().min(1).max(255).optional().describe('Name or address of the server. Default: that of the host.'),
  port: z.number().int().min(1).max(65_535).default(443).describe('Its port.'),
  tlsName: z.string().min(1).max(255).optional().describe('Name to ask for. Default: the first of the certificate.'),
  starttls: z.enum(starttlsProtocols).optional().describe('Protocol that begins in plain text.'),
});

const Options = z.strictObject({
  files: z.array(FilePattern).min(1).max(20).describe('Files with certificates (PEM); `*` stands for any name.'),
  servedAt: z.array(ServedAt).max(10).default([]).describe('Servers that must show what the files hold.'),
  servedPorts: z
    .array(z.number().int().min(1).max(65_535))
    .max(10)
    .default([])
    .describe('Ports of the host whose TLS servers must show what the files hold; the short way of `servedAt`.'),
  reloadWithin: durationOr('1h').describe('How long after a renewal a server may show the certificate before it.'),
  renewedBy: z
    .enum(renewers)
    .optional()
    .describe('What must be scheduled on the host to renew them. Absent: not asked.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'certificate-files',
  about:
    'When certificates on disk end, whether servers show the renewed ones, and whether their renewal is scheduled.',
  options: Options,
  reach: 'host',
  resourceOf: ({ files }) => resourceName(files.join(' ')),
  observe,
  evidence: { about: 'the journal, log and timers of what renews, and who listens on the port', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const argv = ['sh', '-c', certificateScript, 'sh', options.renewedBy ?? 'none', ...options.files];
  const end = await context.probe.run(argv, {
    timeoutMs: Math.min(timeoutMs, context.timeoutMs),
    signal: context.signal,
    maximumOutputBytes,
  });
  const answer = readCommand(end);
  const whole = { condition: 'certificate-expiring', resource: options.files.join(' ') };
  if (!answer.ok) return [unseen(whole, answer.reason)];
  const sections = splitSections(answer.text);
  const files = sections.get('files');
  if (files === undefined) return [unseen(whole, 'the host did not run the script')];
  return judge(options, context, { sections, files });
}

async function judge(
  options: Options,
  context: CheckContext,
  read: { sections: ReadonlyMap<string, Section>; files: Section },
): Promise<Observation[]> {
  const listing = parseCertificateFiles(read.files.text);
  const now = context.clock.now();
  const lifetimes = listing.files.flatMap(({ path, chain }) =>
    observeLifetime(chain, { resource: path, now }).map((one) => ({ ...one, labels: { path } })),
  );
  const blind = listing.unseen.map(({ path, reason }) =>
    unseen({ condition: 'certificate-expiring', resource: path, labels: { path } }, reason),
  );
  return [
    ...lifetimes,
    ...blind,
    ...(await observeAllServed(listing.files, options, context)),
    ...(options.renewedBy === undefined ? [] : observeRenewal(options.renewedBy, read.sections)),
  ];
}

async function observeAllServed(
  files: readonly CertificateFile[],
  options: Options,
  context: CheckContext,
): Promise<Observation[]> {
  const pairs = servers(options).flatMap((at) =>
    files.filter(({ path }) => matchesAny(path, [at.file])).map((file) => ({ file, at })),
  );
  const found = await fewAtOnce(pairs.slice(0, maximumHandshakes), 8, ({ file, at }) => {
    const place = {
      address: at.address ?? addressOf(context),
      port: at.port,
      tlsName: at.tlsName,
      starttls: at.starttls,
      reloadWithinMs: options.reloadWithin,
    };
    return observeServed(file, place, context);
  });
  // Two entries may name the same server for the same file.
  return [...new Map(found.map((one) => [one.resource, one])).values()];
}

function servers({ servedAt, servedPorts }: Options): z.output<typeof ServedAt>[] {
  return [...servedAt, ...servedPorts.map((port) => ({ file: '*', port }))];
}

function addressOf({ host }: CheckContext): string {
  if (host === undefined || host.config.via === 'local') return '127.0.0.1';
  return host.config.address ?? host.name;
}

async function gather(options: Options, context: CheckContext, { condition }: Observation): Promise<Evidence[]> {
  const port = condition === 'certificate-not-reloaded' ? (servers(options)[0]?.port ?? 0) : 0;
  const argv = ['sh', '-c', certificateEvidenceScript, 'sh', options.renewedBy ?? 'none', String(port)];
  const answer = readCommand(await context.probe.run(argv, { timeoutMs: 5_000, signal: context.signal }));
  if (!answer.ok) return [];
  const sections = splitSections(answer.text);
  const lines = (name: string): string[] => sections.get(name)?.text.split('\n') ?? [];
  return [
    ...evidenceOf('log', 'Journal of the renewal', parseJournal(lines('journal').join('\n'))),
    ...evidenceOf('log', 'Log of the renewal', lines('log')),
    ...evidenceOf('state', 'Timers', lines('timers')),
    ...evidenceOf('state', `Who listens on port ${port}`, lines('listener')),
  ];
}
