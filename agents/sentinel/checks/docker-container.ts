import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { type Container, judgeRunning } from '#agents/sentinel/probes/containers.ts';
import type { Docker } from '#agents/sentinel/probes/docker.ts';
import { dockerCommand } from '#agents/sentinel/probes/docker-command.ts';
import { dockerEngine } from '#agents/sentinel/probes/docker-engine.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { remember, rememberedTexts } from '#agents/sentinel/probes/remembered.ts';
import { rememberRestarts, restartLimit, restartWindowMs } from '#agents/sentinel/probes/restarts.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const allContainers = 'containers';
/** A health check has failed three times by then. */
const unhealthyHoldMs = 120_000;
const maximumRemembered = 400;

const Options = z.strictObject({
  containers: z.array(z.string().min(1).max(255)).max(200).optional().describe('Containers that have to run.'),
  ignore: z.array(z.string().max(255)).default([]).describe('Containers to leave out; `*` stands for any text.'),
  onDemand: z
    .array(z.string().max(255))
    .default([])
    .describe('Containers that may be stopped at any time; `*` stands for any text.'),
  socket: z
    .string()
    .startsWith('/')
    .max(100)
    .default('/var/run/docker.sock')
    .describe('Socket of the engine on this machine; other hosts are asked with their `docker` command.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'docker-container',
  about: 'Containers that stopped, start again and again, are unhealthy or ran out of memory.',
  options: Options,
  reach: 'host',
  resourceOf: () => allContainers,
  observe,
  evidence: { about: 'the state of the container and the last lines of its log', gather },
});

function dockerOf(options: Options, context: CheckContext): Docker {
  return context.host?.config.via === 'local' ? dockerEngine(options.socket) : dockerCommand(context.probe);
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const list = await dockerOf(options, context).list(context.signal);
  const before = rememberedTexts(context.memory, 'running');
  if (list.is === 'absent') {
    // A host without Docker has no containers to look at; one that had some has lost it.
    if (before === undefined && options.containers === undefined) return [];
    return [
      whole({ is: 'unknown', reason: 'Docker is not there' }, 'cannot look at the containers: Docker is not there'),
    ];
  }
  if (list.is === 'unknown') {
    return [whole({ is: 'unknown', reason: list.reason }, oneLine(`cannot look at the containers: ${list.reason}`))];
  }
  const watched = list.containers.filter((container) => isWatched(container.name, options));
  const seen = rememberRunning(context, watched, before);
  const running = watched.filter((container) => container.status === 'running').length;
  return [
    whole(
      { is: 'state', ok: true, severity: 'critical' },
      `${counted(watched.length, 'container')}, ${running} running`,
    ),
    ...watched.flatMap((container) => conditionsOf(container, { options, wasRunning: seen.has(container.name) })),
    ...restartConditions(watched, context),
    ...missing(options, watched),
  ];
}

function whole(reading: Observation['reading'], summary: string): Observation {
  return { condition: 'container-down', resource: allContainers, reading, summary };
}

function isWatched(name: string, options: Options): boolean {
  if (options.containers !== undefined) return options.containers.includes(name);
  return !matchesAny(name, options.ignore);
}

/** Those that were seen running and still exist. What stood still at the first look is not news. */
function rememberRunning(
  context: CheckContext,
  containers: readonly Container[],
  before: readonly string[] | undefined,
): ReadonlySet<string> {
  const seen = containers
    .filter(({ name, status, isRestarting }) => before?.includes(name) === true || status === 'running' || isRestarting)
    .map(({ name }) => name)
    .slice(0, maximumRemembered);
  remember(context.memory, 'running', seen);
  return new Set(seen);
}

function observationOf(
  container: Container,
  of: Pick<Observation, 'condition' | 'reading' | 'holdMs'> & { text: string },
): Observation {
  const { text, ...rest } = of;
  return {
    ...rest,
    resource: container.name,
    labels: { container: container.name },
    summary: oneLine(`${container.name} ${text}`),
  };
}

function conditionsOf(container: Container, of: { options: Options; wasRunning: boolean }): Observation[] {
  const isNamed = of.options.containers?.includes(container.name) === true;
  const isFree = matchesAny(container.name, of.options.onDemand) || (!isNamed && !of.wasRunning);
  const verdict = judgeRunning(container, isNamed);
  const severity = verdict.is === 'bad' ? verdict.severity : 'critical';
  const text = isFree && verdict.is === 'bad' ? `${verdict.text}, which it may` : verdict.text;
  const reading = { is: 'state', ok: verdict.is === 'ok' || isFree, severity } as const;
  return [
    observationOf(container, { condition: 'container-down', reading, text }),
    ...healthCondition(container),
    ...memoryCondition(container),
  ];
}

function healthCondition(container: Container): Observation[] {
  // "starting" says nothing yet; a stopped one keeps its last word.
  if (container.status !== 'running' || container.health === 'none' || container.health === 'starting') return [];
  const isUnhealthy = container.health === 'unhealthy';
  return [
    observationOf(container, {
      condition: 'container-unhealthy',
      holdMs: unhealthyHoldMs,
      reading: { is: 'state', ok: !isUnhealthy, severity: 'critical' },
      text: `is ${container.health} by its own health check`,
    }),
  ];
}

/** One that ran out of memory and runs: the kernel killed something inside. One that ended says so itself. */
function memoryCondition(container: Container): Observation[] {
  if (!container.wasOutOfMemory || container.status !== 'running') return [];
  return [
    observationOf(container, {
      condition: 'container-out-of-memory',
      reading: { is: 'state', ok: false, severity: 'warning' },
      text: 'ran out of memory: something inside was killed',
    }),
  ];
}

function restartConditions(containers: readonly Container[], context: CheckContext): Observation[] {
  const counters = new Map(containers.map(({ name, restarts }) => [name, restarts]));
  const restarts = rememberRestarts(context.memory, counters, context.clock.now());
  return containers.flatMap((container) => {
    const count = restarts.get(container.name) ?? 0;
    if (count === 0 && !container.isRestarting) return [];
    const isLoop = count >= restartLimit;
    return [
      observationOf(container, {
        condition: 'container-restarting',
        ...(isLoop && { holdMs: 0 }),
        reading: { is: 'state', ok: !isLoop && !container.isRestarting, severity: 'critical' },
        text:
          `started again ${counted(count, 'time')} within ${restartWindowMs / 60_000} minutes` +
          (container.isRestarting ? `, last exit status ${container.exitCode}${outOfMemory(container)}` : ''),
      }),
    ];
  });
}

function outOfMemory(container: Container): string {
  return container.wasOutOfMemory ? ' (out of memory)' : '';
}

function missing(options: Options, containers: readonly Container[]): Observation[] {
  const found = new Set(containers.map(({ name }) => name));
  return (options.containers ?? [])
    .filter((name) => !found.has(name))
    .map((name) => ({
      condition: 'container-down',
      resource: oneLine(name, 200),
      labels: { container: name },
      summary: oneLine(`${name} does not exist`),
      reading: { is: 'state', ok: false, severity: 'critical' },
    }));
}

async function gather(options: Options, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const docker = dockerOf(options, context);
  const list = await docker.list(context.signal);
  if (list.is !== 'listed') return [];
  const container = list.containers.find(({ name }) => name === observation.labels?.['container']);
  if (container === undefined) return [];
  const state = [
    `image ${container.image}`,
    `status ${container.status}, exit status ${container.exitCode}${outOfMemory(container)}`,
    `restarted ${counted(container.restarts, 'time')}, restart policy ${container.policy}, health ${container.health}`,
    container.error,
  ];
  return [
    ...evidenceOf('state', `Container ${container.name}`, state),
    ...evidenceOf('log', `Log of ${container.name}`, await docker.logs(container, context.signal)),
  ];
}
