import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type ApiAnswer, apiOptions, createApi } from '#agents/sentinel/probes/api.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { counted, evidenceOf, jsonOf } from '#agents/sentinel/probes/text.ts';

const Options = z.strictObject({
  ...apiOptions,
  connections: z.number().int().min(1).max(16).default(4).describe('Connections to the edge that are normal.'),
});
type Options = z.output<typeof Options>;

/** `GET /ready`: 200 or 503, the same body. `/healthcheck` always says OK and the metric of connections lies. */
const Ready = z.object({ readyConnections: z.number() });

export const check = defineCheck({
  kind: 'cloudflared',
  about: 'Whether a tunnel of cloudflared has its connections to the edge, by the metrics port (20241).',
  options: Options,
  reach: 'network',
  resourceOf: () => 'tunnel',
  observe,
  evidence: { about: 'what the tunnel says of itself and its counters of errors', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const said = { condition: 'tunnel-down', resource: 'tunnel' };
  const answer = await createApi(options, context).text({ path: '/ready' });
  const ready = readyOf(answer);
  if (ready === undefined) {
    if (answer.is === 'silent') {
      return [
        state({ ...said, summary: `cloudflared does not answer: ${answer.reason}`, ok: false, severity: 'critical' }),
      ];
    }
    return [unseen(said, answer.is === 'value' ? 'its answer is not that of cloudflared' : answer.reason)];
  }
  const summary = `${ready} of ${counted(options.connections, 'connection')} of the tunnel to the edge`;
  const few = { condition: 'tunnel-degraded', resource: 'tunnel', holdMs: 10 * 60_000 };
  return [
    state({ ...said, summary, ok: ready > 0, severity: 'critical' }),
    state({ ...few, summary, ok: ready === 0 || ready >= options.connections, severity: 'warning' }),
  ];
}

function readyOf(answer: ApiAnswer<string>): number | undefined {
  const text =
    answer.is === 'value' ? answer.value : answer.is === 'refused' && answer.status === 503 ? answer.body : '';
  const parsed = Ready.safeParse(jsonOf(text));
  return parsed.success ? parsed.data.readyConnections : undefined;
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const api = createApi(options, context);
  const ready = await api.text({ path: '/ready' });
  const metrics = await api.text({ path: '/metrics' });
  const counters = metrics.is === 'value' ? metrics.value.split('\n') : [];
  const wanted = /^cloudflared_tunnel_(?:ha_connections|request_errors|total_requests|server_locations)|^build_info/;
  return [
    ...evidenceOf('state', 'Ready', [
      ready.is === 'value' ? ready.value : ready.is === 'refused' ? ready.body : ready.reason,
    ]),
    ...evidenceOf(
      'values',
      'Counters',
      counters.filter((line) => wanted.test(line)),
    ),
  ];
}
