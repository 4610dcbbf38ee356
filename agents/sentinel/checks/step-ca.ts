import { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type Api, type ApiAnswer, apiOptions, createApi, presence } from '#agents/sentinel/probes/api.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  acme: z
    .string()
    .regex(/^[\w.-]{1,60}$/)
    .optional()
    .describe('Name of its ACME provisioner, whose directory must answer.'),
});
type Options = z.output<typeof Options>;

const Health = z.object({ status: z.string() });
/** RFC 8555 section 7.1.1. */
const Directory = z.object({ newNonce: z.string(), newAccount: z.string(), newOrder: z.string() });

const dayMs = 86_400_000;
/** Replacing a root touches every machine; there has to be time for it. */
const warningDays = 90;
const criticalDays = 30;

export const check = defineCheck({
  kind: 'step-ca',
  about: 'Whether step-ca answers and issues by ACME, and when its root and intermediate certificates end.',
  options: Options,
  reach: 'network',
  resourceOf: () => 'step-ca',
  observe,
  evidence: { about: 'subjects and ends of its roots and intermediates', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const api = createApi(options, context);
  const health = await api.json(Health, { path: '/health' });
  const there = presence(health, { condition: 'step-ca-down', resource: 'step-ca', name: 'step-ca' });
  if (health.is !== 'value') return [there];
  const acme = options.acme === undefined ? [] : [await lookAtAcme(api, options.acme)];
  const ends = await Promise.all(
    (['roots', 'intermediates'] as const).map(async (which) =>
      judge(which, await api.text({ path: `/${which}.pem` }), context.clock.now()),
    ),
  );
  return [there, ...acme, ...ends.flat()];
}

/** Its health route touches neither the database nor the key; the directory is what clients ask first. */
async function lookAtAcme(api: Api, name: string): Promise<Observation> {
  const said = { condition: 'acme-unavailable', resource: `ACME ${name}` };
  const directory = await api.json(Directory, { path: `/acme/${name}/directory` });
  if (directory.is === 'value')
    return state({ ...said, summary: `ACME ${name} answers`, ok: true, severity: 'critical' });
  if (directory.is === 'unable') return unseen(said, directory.reason);
  return state({
    ...said,
    summary: `ACME ${name} does not work: ${directory.reason}`,
    ok: false,
    severity: 'critical',
  });
}

function judge(which: 'roots' | 'intermediates', answer: ApiAnswer<string>, now: number): Observation[] {
  const condition = 'authority-expiring';
  if (answer.is !== 'value') return [unseen({ condition, resource: which }, answer.reason)];
  const certificates = certificatesIn(answer.value);
  if (certificates.length === 0) return [unseen({ condition, resource: which }, 'it lists no certificate')];
  return certificates.map(({ name, serial, endsAt, lifetimeDays }) => {
    const days = (endsAt - now) / dayMs;
    return level({
      condition,
      resource: `${name} ${serial.slice(0, 8)}`,
      summary: `${which === 'roots' ? 'the root' : 'the intermediate'} ${name} ${days < 0 ? 'ended' : 'ends'} ${new Date(endsAt).toISOString()}`,
      value: days,
      unit: 'd',
      bad: 'below',
      warning: Math.min(warningDays, lifetimeDays / 4),
      critical: Math.min(criticalDays, lifetimeDays / 10),
      holdMs: 0,
    });
  });
}

interface Authority {
  name: string;
  serial: string;
  endsAt: number;
  lifetimeDays: number;
}

function certificatesIn(text: string): Authority[] {
  const pems = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return pems.slice(0, 20).flatMap((pem) => {
    try {
      const { subject, serialNumber, validFrom, validTo } = new X509Certificate(pem);
      const name = oneLine(/CN=([^\n]+)/.exec(subject)?.[1] ?? 'unnamed', 80);
      const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
      return [{ name, serial: serialNumber, endsAt: to, lifetimeDays: (to - from) / dayMs }];
    } catch {
      return [];
    }
  });
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const api = createApi(options, context);
  const lists = await Promise.all(['roots', 'intermediates'].map((which) => api.text({ path: `/${which}.pem` })));
  const lines = lists.flatMap((answer) =>
    answer.is === 'value'
      ? certificatesIn(answer.value).map(({ name, endsAt }) => `${name} until ${new Date(endsAt).toISOString()}`)
      : [],
  );
  return evidenceOf('state', 'Certificates of the authority', lines);
}
