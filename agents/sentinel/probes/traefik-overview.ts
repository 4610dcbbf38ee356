import { z } from 'zod';
import type { Observation } from '#agents/sentinel/check.ts';
import type { Api, ApiAnswer } from './api.ts';
import { state, unseen } from './reading.ts';
import { oneLine } from './text.ts';

const Counts = z.object({ warnings: z.number().default(0), errors: z.number().default(0) }).nullish();
const Section = z.object({ routers: Counts, services: Counts, middlewares: Counts }).nullish();
/** `GET /api/overview` of Traefik 3: how many of each sort are bad. */
const Overview = z.object({ http: Section, tcp: Section, udp: Section });

const Things = z.array(
  z.object({ name: z.string(), status: z.string().default('enabled'), error: z.array(z.string()).nullish() }),
);
type Thing = z.output<typeof Things>[number];

/** What is not listed at every look anyway; UDP has no middlewares. */
const lists = [
  ['http', 'middlewares'],
  ['tcp', 'routers'],
  ['tcp', 'services'],
  ['tcp', 'middlewares'],
  ['udp', 'routers'],
  ['udp', 'services'],
] as const;

const nouns = { routers: 'router', services: 'service', middlewares: 'middleware' } as const;
const maximumTold = 100;

/** Middlewares, and all of TCP and UDP: counted with one call, listed only where something is bad. */
export async function lookAtOverview(
  api: Api,
  of: { headers: Record<string, string>; ignore: readonly string[] },
): Promise<Observation[]> {
  const said = { condition: 'traefik-middleware-bad', resource: 'overview' };
  const overview = await api.json(Overview, { path: '/api/overview', headers: of.headers });
  if (overview.is !== 'value') return [unseen(said, overview.reason)];
  const bad = lists.filter(([protocol, sort]) => isBad(overview.value[protocol]?.[sort]));
  const found = await Promise.all(
    bad.map(async ([protocol, sort]) => {
      const path = `/api/${protocol}/${sort}`;
      const query = { per_page: 1_000 };
      const answer = await api.json(Things, { path, query, headers: of.headers });
      return judge(answer, { protocol, sort, ignore: of.ignore });
    }),
  );
  const summary = 'looked at middlewares, TCP and UDP';
  return [state({ ...said, summary, ok: true, severity: 'critical' }), ...found.flat()];
}

function isBad(counts: z.output<typeof Counts>): boolean {
  return (counts?.errors ?? 0) + (counts?.warnings ?? 0) > 0;
}

function judge(
  answer: ApiAnswer<Thing[]>,
  of: { protocol: string; sort: keyof typeof nouns; ignore: readonly string[] },
): Observation[] {
  const noun = nouns[of.sort];
  const said = { condition: `traefik-${noun}-bad`, resource: `${of.protocol} ${of.sort}` };
  if (answer.is !== 'value') return [unseen(said, answer.reason)];
  const bad = answer.value.filter(({ name, status }) => status !== 'enabled' && !of.ignore.includes(name));
  return bad.slice(0, maximumTold).map(({ name, status, error }) =>
    state({
      ...said,
      resource: `${name} (${of.protocol})`,
      labels: { [noun]: name.slice(0, 200) },
      summary: `${of.protocol} ${noun} ${name} is ${oneLine(status, 20)}: ${(error ?? []).join('; ') || 'Traefik gives no reason'}`,
      ok: false,
      severity: status === 'warning' ? 'warning' : 'critical',
    }),
  );
}
