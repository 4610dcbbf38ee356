import { isIP } from 'node:net';
import { z } from 'zod';
import { type Discovered, defineSource, type Thing } from '../inventory/source.ts';
import { apiOptions, createApi } from '../probes/api.ts';
import { loginHeaders, loginOptions } from '../probes/api-login.ts';
import { counted } from '../probes/text.ts';

const Target = z.object({
  scrapeUrl: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
});
type Target = z.output<typeof Target>;
const Targets = z.object({
  status: z.literal('success'),
  data: z.object({ activeTargets: z.array(z.unknown()).nullable() }),
});

const maximumTargets = 2_000;

export const source = defineSource({
  source: 'prometheus',
  about: 'Machines whose exporters a Prometheus or VictoriaMetrics scrapes.',
  options: z.object({ ...apiOptions, ...loginOptions }),
  async discover(options, context): Promise<Discovered> {
    const login = loginHeaders(options, context);
    if (!login.ok) return { is: 'silent', reason: login.reason };
    const call = { path: '/api/v1/targets', query: { state: 'active' }, headers: login.headers };
    const answer = await createApi(options, context).json(Targets, call);
    if (answer.is !== 'value') return { is: 'silent', reason: answer.reason };
    const rows = answer.value.data.activeTargets ?? [];
    const targets = rows.slice(0, maximumTargets).flatMap((row) => Target.safeParse(row).data ?? []);
    const here = new URL(options.url).hostname;
    const byMachine = Map.groupBy(targets, (target) => machineOf(target, here) ?? '');
    const nameless = byMachine.get('')?.length ?? 0;
    byMachine.delete('');
    return {
      is: 'answered',
      things: [...byMachine].map(([machine, its]) => thingOf(machine, its)),
      notes: nameless === 0 ? [] : [`${counted(nameless, 'target')} without the address of a machine`],
    };
  },
});

/** Who is scraped; what Prometheus scrapes on itself is on the machine that answers for it. */
function machineOf(target: Target, here: string): string | undefined {
  // A probe asks an exporter about something else: its `instance` is that address, and may be a URL.
  const instance = target.labels['instance'] ?? target.scrapeUrl ?? '';
  const host = hostIn(instance) ?? hostIn(target.scrapeUrl ?? '');
  return host === undefined || !/^(?:localhost|127\.|::1$|0\.0\.0\.0$)/.test(host) ? host : here;
}

/** `10.0.0.5:9100`, `nas`, `https://shop.example.org/health`, `[::1]:9100`. */
function hostIn(text: string): string | undefined {
  const url = text.includes('://') ? text : `http://${text}`;
  const hostname = URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : '';
  return hostname === '' ? undefined : hostname;
}

function thingOf(machine: string, targets: readonly Target[]): Thing {
  const jobs = [...new Set(targets.flatMap(({ labels }) => labels['job'] ?? []))].toSorted();
  const [named] = targets.flatMap(({ labels }) => labels['nodename'] ?? labels['hostname'] ?? labels['host'] ?? []);
  return {
    id: machine,
    name: named ?? machine,
    type: 'machine',
    ...((isIP(machine) !== 0 || named !== undefined) && { address: machine }),
    labels: { jobs: jobs.join(',').slice(0, 200) },
    services: jobs.slice(0, 20),
  };
}
