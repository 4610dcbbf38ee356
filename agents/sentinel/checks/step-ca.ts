import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type Api, type ApiAnswer, apiOptions, createApi, presence } from '#agents/sentinel/probes/api.ts';
import { authoritiesIn, observeAuthority } from '#agents/sentinel/probes/authority-life.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { evidenceOf, timeText } from '#agents/sentinel/probes/text.ts';

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
  const whole = { condition: 'certificate-expiring', resource: which };
  if (answer.is !== 'value') return [unseen(whole, answer.reason)];
  const certificates = authoritiesIn(answer.value);
  if (certificates.length === 0) return [unseen(whole, 'it lists no certificate')];
  return certificates.map((one) => {
    const what = `${which === 'roots' ? 'the root' : 'the intermediate'} ${one.name}`;
    return observeAuthority(one, { resource: `${one.name} ${one.serial.slice(0, 8)}`, what, now });
  });
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const api = createApi(options, context);
  const lists = await Promise.all(['roots', 'intermediates'].map((which) => api.text({ path: `/${which}.pem` })));
  const lines = lists.flatMap((answer) =>
    answer.is === 'value'
      ? authoritiesIn(answer.value).map(({ name, notAfter }) => `${name} until ${timeText(notAfter)}`)
      : [],
  );
  return evidenceOf('state', 'Certificates of the authority', lines);
}
