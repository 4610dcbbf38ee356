import { z } from 'zod';
import { durationOr } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { apiOptions, createApi, presence } from '#agents/sentinel/probes/api.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { unseen } from '#agents/sentinel/probes/reading.ts';
import { remember } from '#agents/sentinel/probes/remembered.ts';
import { evidenceOf } from '#agents/sentinel/probes/text.ts';
import { lookAtAgents, lookAtVersions } from '#agents/sentinel/probes/wazuh-agents.ts';
import { openWazuh, type Wazuh } from '#agents/sentinel/probes/wazuh-api.ts';
import { errorsOf, lookAtDaemons, lookAtErrors, lostNodes, nodesOf } from '#agents/sentinel/probes/wazuh-node.ts';
import { lookAtBenchmarks, lookAtFileScans } from '#agents/sentinel/probes/wazuh-posture.ts';

const parts = ['daemons', 'agents', 'errors', 'benchmarks', 'files', 'versions'] as const;

const Options = z.strictObject({
  ...apiOptions,
  user: z.string().min(1).max(200).default('wazuh-wui').describe('User of the API who may read.'),
  password: SecretRef.describe('Password of that user.'),
  look: z
    .array(z.enum(parts))
    .min(1)
    .default(['daemons', 'agents', 'errors'])
    .describe(
      'What is looked at. `benchmarks` and `files` ask for each agent, and `versions` rarely change: once a day is enough.',
    ),
  disconnectedAfter: durationOr('15m').describe('An agent that has not reported for longer is told, in whole minutes.'),
  ignoreAgents: z
    .array(z.string().max(200))
    .max(200)
    .default([])
    .describe('Agents that may rest; `*` stands for any text.'),
  scoreDrop: z
    .number()
    .positive()
    .max(100)
    .default(5)
    .describe('Points that a benchmark may lose, more are a warning.'),
  fileScanAge: durationOr('24h').describe('Age of the last look through the files of an agent where a warning begins.'),
  within: durationOr('15m').describe('Time in which errors of the manager itself count.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'wazuh',
  about:
    "Wazuh's manager: daemons, agents that are silent, its own errors, scores of benchmarks, looks through files, nodes that left.",
  options: Options,
  reach: 'network',
  resourceOf: () => 'wazuh',
  observe,
  evidence: { about: 'the last errors of the manager, or the benchmark checks that failed', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const { answer, wazuh } = await openWazuh(createApi(options, context), options, context);
  const there = presence(answer, { condition: 'wazuh-down', resource: 'wazuh', name: 'the API of Wazuh' });
  if (answer.is !== 'value') return [there];
  const major = Number(/^v?(\d+)\./.exec(answer.value.apiVersion)?.[1] ?? 4);
  const found = [there];
  if (options.look.some((part) => part === 'daemons' || part === 'errors')) {
    found.push(...(await lookAtNodes(wazuh, options, { context, major })));
  }
  if (options.look.includes('agents')) found.push(...(await lookAtAgents(wazuh, options)));
  if (options.look.includes('versions')) found.push(await lookAtVersions(wazuh, options));
  found.push(...(await lookAtPosture(wazuh, options, { context, major })));
  return found;
}

async function lookAtNodes(
  wazuh: Wazuh,
  options: Options,
  { context, major }: { context: CheckContext; major: number },
): Promise<Observation[]> {
  const nodes = await nodesOf(wazuh, major);
  if (nodes.is !== 'value')
    return [unseen({ condition: 'wazuh-daemon-stopped', resource: 'nodes', hidesRest: true }, nodes.reason)];
  const now = context.clock.now();
  const before = context.memory.get('errorsAt');
  const sinceLook = typeof before === 'number' && before < now ? now - before : 0;
  const spanMs = Math.min(86_400_000, Math.max(options.within, sinceLook));
  const found = await Promise.all(
    nodes.value.map(async (node) => [
      ...(options.look.includes('daemons') ? await lookAtDaemons(wazuh, node) : []),
      ...(options.look.includes('errors') ? [await lookAtErrors(wazuh, node, { now, spanMs })] : []),
    ]),
  );
  remember(context.memory, 'errorsAt', now);
  return [...lostNodes(nodes.value, context), ...found.flat()];
}

async function lookAtPosture(
  wazuh: Wazuh,
  options: Options,
  { context, major }: { context: CheckContext; major: number },
): Promise<Observation[]> {
  const wanted = { benchmarks: options.look.includes('benchmarks'), files: options.look.includes('files') };
  if (!wanted.benchmarks && !wanted.files) return [];
  if (major >= 5) {
    const reason = 'version 5 keeps benchmarks and looks through files in the indexer: leave them out of `look`';
    return [
      unseen(
        { condition: wanted.benchmarks ? 'wazuh-score-dropped' : 'wazuh-file-scan-old', resource: 'agents' },
        reason,
      ),
    ];
  }
  const query = { status: 'active', select: 'id,name', limit: 500 };
  const agents = await wazuh.items(z.object({ id: z.string(), name: z.string() }), { path: '/agents', query });
  if (agents.is !== 'value')
    return [unseen({ condition: 'wazuh-score-dropped', resource: 'agents', hidesRest: true }, agents.reason)];
  const of = { agents: agents.value.filter(({ name }) => !matchesAny(name, options.ignoreAgents)), context };
  return [
    ...(wanted.benchmarks ? await lookAtBenchmarks(wazuh, of, options.scoreDrop) : []),
    ...(wanted.files ? await lookAtFileScans(wazuh, of, options.fileScanAge) : []),
  ];
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const { answer, wazuh } = await openWazuh(createApi(options, context), options, context);
  if (answer.is !== 'value') return [];
  return observation.condition === 'wazuh-score-dropped' ? failedChecks(wazuh, observation) : lastErrors(wazuh);
}

async function failedChecks(wazuh: Wazuh, { labels, resource }: Observation): Promise<Evidence[]> {
  const { agent = '', policy = '' } = labels ?? {};
  if (agent === '' || policy === '') return [];
  const failed = await wazuh.items(z.object({ id: z.number(), title: z.string() }), {
    path: `/sca/${encodeURIComponent(agent)}/checks/${encodeURIComponent(policy)}`,
    query: { result: 'failed', limit: 30 },
  });
  const lines = failed.is === 'value' ? failed.value.map(({ id, title }) => `${id} ${title}`) : [];
  return evidenceOf('state', `Failed checks of ${resource}`, lines);
}

async function lastErrors(wazuh: Wazuh): Promise<Evidence[]> {
  const nodes = await nodesOf(wazuh, 4);
  const [node] = nodes.is === 'value' ? nodes.value : [];
  const errors = node === undefined ? undefined : await errorsOf(wazuh, node);
  if (errors?.is !== 'value') return [];
  const lines = errors.value.map((line) => `${line.timestamp} ${line.tag} ${line.level}: ${line.description}`);
  return evidenceOf('log', 'Errors of the manager', lines.slice(0, 30).toReversed());
}
