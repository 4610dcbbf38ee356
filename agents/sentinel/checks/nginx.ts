import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { apiOptions, createApi, presence } from '#agents/sentinel/probes/api.ts';
import { ratesOf } from '#agents/sentinel/probes/counter-rate.ts';
import { someLevels } from '#agents/sentinel/probes/levels-option.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { evidenceOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  path: z
    .string()
    .max(500)
    .regex(/^\/[^\s?#]*$/, 'must begin with a slash')
    .default('/nginx_status')
    .describe('Location with `stub_status;`, which nginx should show to this machine only.'),
  connections: someLevels()
    .prefault({})
    .describe('Open connections; 80 % of workers times worker_connections is a good warning.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'nginx',
  about:
    'The server nginx by its stub_status: whether it answers, how many connections it has, and those that it had to drop.',
  options: Options,
  reach: 'network',
  resourceOf,
  observe,
  evidence: { about: 'what it says of its connections', gather },
});

function resourceOf({ url }: Options): string {
  return new URL(url).host;
}

interface Status {
  active: number;
  accepts: number;
  handled: number;
  waiting: number;
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const resource = resourceOf(options);
  const said = { condition: 'nginx-down', resource };
  const answer = await createApi(options, context).text({ path: options.path, mayBePage: true });
  if (answer.is !== 'value') return [presence(answer, { ...said, name: 'nginx' })];
  const status = parseStatus(answer.value);
  if (status === undefined) return [unseen(said, `what stands at ${options.path} is not stub_status`)];
  const dropped = status.accepts - status.handled;
  const rate = ratesOf({ key: 'dropped', counters: new Map([['dropped', dropped]]) }, context).get('dropped') ?? 0;
  const summary =
    rate > 0
      ? `nginx drops ${(rate * 60).toFixed(1)} connections a minute: worker_connections or open files are used up`
      : `nginx dropped no connection since the last look (${dropped} in all)`;
  return [
    state({ ...said, summary: 'nginx answers', ok: true, severity: 'critical' }),
    level({
      condition: 'connections-high',
      resource,
      summary: `nginx has ${status.active} connections, ${status.waiting} of them idle`,
      value: status.active,
      unit: 'connections',
      bad: 'above',
      ...options.connections,
    }),
    state({ condition: 'connections-dropped', resource, summary, ok: rate === 0, severity: 'warning' }),
  ];
}

/** Four lines since nginx 0.1.18; the counters are those since the start of the master. */
function parseStatus(text: string): Status | undefined {
  const match =
    /^Active connections:\s*(\d{1,12})\s*\nserver accepts handled requests[^\n]*\n\s*(\d{1,15}) (\d{1,15}) \d{1,15}(?: \d+)?\s*\nReading: \d+ Writing: \d+ Waiting: (\d{1,12})/.exec(
      text,
    );
  if (match === null) return undefined;
  const [active = 0, accepts = 0, handled = 0, waiting = 0] = match.slice(1).map(Number);
  return { active, accepts, handled, waiting };
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const answer = await createApi(options, context).text({ path: options.path });
  const lines = answer.is === 'value' ? answer.value.split('\n') : [answer.reason];
  return evidenceOf('state', 'Connections', lines.slice(0, 10));
}
