import { existsSync } from 'node:fs';
import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { Duration } from '#config/duration.ts';
import { endedImages, imageConditions } from '#agents/sentinel/probes/container-images.ts';
import { rememberRemovals } from '#agents/sentinel/probes/container-removals.ts';
import { type Container, isAtRest, judgeRunning } from '#agents/sentinel/probes/containers.ts';
import { type Docker, systemSocket } from '#agents/sentinel/probes/docker.ts';
import { dockerCommand } from '#agents/sentinel/probes/docker-command.ts';
import { dockerEngine } from '#agents/sentinel/probes/docker-engine.ts';
import { matchesAny } from '#agents/sentinel/probes/glob.ts';
import { asleep, type Said, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { remember, rememberedTexts } from '#agents/sentinel/probes/remembered.ts';
import { rememberRestarts, restartLimit, restartWindowMs } from '#agents/sentinel/probes/restarts.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

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
    .describe(
      'Containers that may be stopped at any time, beside those that NodeTool manages; `*` stands for any text.',
    ),
  imageAgeAtMost: Duration.optional().describe('A running container whose image was built longer ago is a warning.'),
  socket: z
    .string()
    .startsWith('/')
    .max(100)
    .optional()
    .describe(`Socket of the engine. Default ${systemSocket}, or that of the user: /run/user/UID/docker.sock.`),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'docker-container',
  about:
    'Containers that stopped, start again and again, are unhealthy, ran out of memory, are gone or have old images.',
  options: Options,
  reach: 'host',
  resourceOf: () => allContainers,
  observe,
  evidence: { about: 'the state of the container and the last lines of its log', gather },
});

function dockerOf(options: Options, context: CheckContext): Docker {
  if (context.host?.config.via !== 'local') return dockerCommand(context.probe, options.socket);
  return dockerEngine(options.socket ?? localSocket());
}

/** Without an engine of the system, that of the user. */
function localSocket(): string {
  const own = `/run/user/${process.getuid?.() ?? 0}/docker.sock`;
  return !existsSync(systemSocket) && existsSync(own) ? own : systemSocket;
}

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const docker = dockerOf(options, context);
  const list = await docker.list(context.signal);
  const before = rememberedTexts(context.memory, 'running');
  if (list.is === 'absent') {
    // A host without Docker has no containers to look at; one that had some has lost it.
    if (before === undefined && options.containers === undefined && options.socket === undefined) return [];
    return [unseen(whole, 'Docker is not there')];
  }
  if (list.is === 'unknown') return [unseen(whole, list.reason)];
  const watched = list.containers.filter((container) => isWatched(container.name, options));
  const seen = rememberRunning(context, watched, before);
  const running = watched.filter((container) => container.status === 'running').length;
  return [
    state({
      ...whole,
      summary: `${counted(watched.length, 'container')}, ${running} running`,
      ok: true,
      severity: 'critical',
    }),
    ...watched.flatMap((container) => conditionsOf(container, { options, wasRunning: seen.has(container.name) })),
    ...restartConditions(watched, context),
    ...missing(options, watched),
    ...removals(options, list.containers, context),
    ...endedImages(watched),
    ...(await oldImages(watched, { docker, options, context })),
  ];
}

const whole = { condition: 'container-down', resource: allContainers };

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

function saidOf({ name }: Pick<Container, 'name'>, condition: string, text: string): Said {
  return { condition, resource: name, labels: { container: name }, summary: `${name} ${text}` };
}

function conditionsOf(container: Container, of: { options: Options; wasRunning: boolean }): Observation[] {
  const isNamed = of.options.containers?.includes(container.name) === true;
  const verdict = judgeRunning(container, isNamed);
  const severity = verdict.is === 'bad' ? verdict.severity : 'critical';
  const rest = verdict.is === 'bad' ? restOf(container, { ...of, isNamed }) : undefined;
  const said = saidOf(container, 'container-down', rest === undefined ? verdict.text : `${verdict.text}, which it may`);
  return [
    rest === undefined ? state({ ...said, ok: verdict.is === 'ok', severity }) : asleep(said, rest),
    ...healthCondition(container),
    ...memoryCondition(container),
  ];
}

/** Why it may stand still, when it may. */
function restOf(
  container: Container,
  of: { options: Options; wasRunning: boolean; isNamed: boolean },
): string | undefined {
  const isOnDemand = container.isOnDemand || matchesAny(container.name, of.options.onDemand);
  if (isOnDemand) return isAtRest(container) ? 'it starts on demand' : undefined;
  return of.isNamed || of.wasRunning ? undefined : 'it stood still when it was first seen';
}

function healthCondition(container: Container): Observation[] {
  // "starting" says nothing yet; a stopped one keeps its last word.
  if (container.status !== 'running' || container.health === 'none' || container.health === 'starting') return [];
  const isUnhealthy = container.health === 'unhealthy';
  return [
    state({
      ...saidOf(container, 'container-unhealthy', `is ${container.health} by its own health check`),
      holdMs: unhealthyHoldMs,
      ok: !isUnhealthy,
      severity: 'critical',
    }),
  ];
}

/** One that ran out of memory and runs: the kernel killed something inside. One that ended says so itself. */
function memoryCondition(container: Container): Observation[] {
  if (!container.wasOutOfMemory || container.status !== 'running') return [];
  return [
    state({
      ...saidOf(container, 'container-out-of-memory', 'ran out of memory: something inside was killed'),
      ok: false,
      severity: 'warning',
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
    const text =
      `started again ${counted(count, 'time')} within ${restartWindowMs / 60_000} minutes` +
      (container.isRestarting ? `, last exit status ${container.exitCode}${outOfMemory(container)}` : '');
    return [
      state({
        ...saidOf(container, 'container-restarting', text),
        ...(isLoop && { holdMs: 0 }),
        ok: !isLoop && !container.isRestarting,
        severity: 'critical',
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
    .map((name) => state({ ...saidOf({ name }, 'container-down', 'does not exist'), ok: false, severity: 'critical' }));
}

/** Named ones that are missing are down; others are told for a while. */
function removals(options: Options, containers: readonly Container[], context: CheckContext): Observation[] {
  if (options.containers !== undefined) return [];
  const isLooked = (name: string): boolean => isWatched(name, options) && !matchesAny(name, options.onDemand);
  return rememberRemovals(context.memory, containers, { now: context.clock.now(), isWatched: isLooked });
}

async function oldImages(
  containers: readonly Container[],
  of: { docker: Docker; options: Options; context: CheckContext },
): Promise<Observation[]> {
  const { docker, options, context } = of;
  if (options.imageAgeAtMost === undefined) return [];
  const ids = [...new Set(containers.map(({ imageId }) => imageId).filter((id) => id !== ''))];
  const builtAt = await docker.builtAt(ids, context.signal);
  return imageConditions(containers, { builtAt, now: context.clock.now(), olderThanMs: options.imageAgeAtMost });
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
