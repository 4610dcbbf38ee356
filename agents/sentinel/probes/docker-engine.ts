import { request } from '#agents/runtime/node-http.ts';
import { codeOf, messageOf } from '#bus/failure.ts';
import { parseContainer } from './containers.ts';
import { type ContainerList, type Docker, logLines, maximumContainers, permissionHint } from './docker.ts';
import { parseImage } from './container-images.ts';
import { deframe } from './docker-logs.ts';
import { fewAtOnce } from './few-at-once.ts';
import { jsonOf, oneLine } from './text.ts';

/** `GET /containers/json` of 500 containers with many labels. */
const maximumBodyBytes = 8_388_608;
const parallel = 8;

/**
 * The engine's API at a unix socket of this machine. Paths have no version: each engine then speaks its newest, whose
 * fields only grow, while old versions are refused in time (28 refuses below 1.44).
 */
export function dockerEngine(socketPath: string): Docker {
  return {
    list: (signal) => listContainers(socketPath, signal),
    async logs(container, signal) {
      const path = `/containers/${container.id}/logs?stdout=1&stderr=1&timestamps=1&tail=${logLines}`;
      const answer = await get({ socketPath, path, signal });
      if (!answer.ok || answer.status !== 200) return [];
      return (container.hasTerminal ? answer.body.toString('utf8') : deframe(answer.body)).split('\n');
    },
    builtAt: (ids, signal) => readImages(ids, { socketPath, signal }),
  };
}

async function readImages(
  ids: readonly string[],
  at: { socketPath: string; signal: AbortSignal },
): Promise<ReadonlyMap<string, number>> {
  const found = await fewAtOnce(ids, parallel, async (id) => {
    const answer = await get({ ...at, path: `/images/${id}/json` });
    const image = answer.ok && answer.status === 200 ? parseImage(jsonOf(answer.body.toString('utf8'))) : undefined;
    return image === undefined ? [] : [[id, image.builtAt] as const];
  });
  return new Map(found.flat());
}

type Answer = { ok: true; status: number; body: Buffer } | { ok: false; code: string | undefined; reason: string };

async function listContainers(socketPath: string, signal: AbortSignal): Promise<ContainerList> {
  const answer = await get({ socketPath, path: '/containers/json?all=1', signal });
  if (!answer.ok) {
    // A socket that is there and refuses belongs to an engine that is down.
    if (answer.code === 'ENOENT' || answer.code === 'ENOTSOCK') return { is: 'absent' };
    if (answer.code === 'EACCES' || answer.code === 'EPERM') return { is: 'unknown', reason: permissionHint };
    return { is: 'unknown', reason: answer.reason };
  }
  const listed = answer.status === 200 ? jsonOf(answer.body.toString('utf8')) : undefined;
  if (!Array.isArray(listed)) return { is: 'unknown', reason: refusal(answer) };
  const ids = listed.slice(0, maximumContainers).flatMap(idOf);
  return inspectAll(ids, { socketPath, signal });
}

function idOf(entry: unknown): string[] {
  const id: unknown = entry !== null && typeof entry === 'object' && 'Id' in entry ? entry.Id : undefined;
  return typeof id === 'string' && /^[0-9a-f]{12,64}$/.test(id) ? [id] : [];
}

/** The list tells neither the restarts nor why something ended: each container is asked. */
async function inspectAll(ids: string[], at: { socketPath: string; signal: AbortSignal }): Promise<ContainerList> {
  let problem: string | undefined;
  const found = await fewAtOnce(ids, parallel, async (id) => {
    if (problem !== undefined) return [];
    const answer = await get({ ...at, path: `/containers/${id}/json` });
    // It was removed since the list was made.
    if (answer.ok && answer.status === 404) return [];
    const container =
      answer.ok && answer.status === 200 ? parseContainer(jsonOf(answer.body.toString('utf8'))) : undefined;
    if (container === undefined) problem = answer.ok ? refusal(answer) : answer.reason;
    return container === undefined ? [] : [container];
  });
  if (problem !== undefined) return { is: 'unknown', reason: problem };
  return { is: 'listed', containers: found.flat().toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
}

function refusal(answer: { status: number; body: Buffer }): string {
  return `the Docker engine answered ${answer.status}: "${oneLine(answer.body.toString('utf8', 0, 400), 120)}"`;
}

function get(of: { socketPath: string; path: string; signal: AbortSignal }): Promise<Answer> {
  of.signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const asked = request({ socketPath: of.socketPath, path: of.path, agent: false, signal: of.signal });
  const fail = (error: Error): void => {
    if (of.signal.aborted) return reject(of.signal.reason as Error);
    resolve({
      ok: false,
      code: codeOf(error),
      reason: `the Docker engine does not answer: ${oneLine(messageOf(error), 200)}`,
    });
  };
  asked.on('error', fail);
  asked.on('response', (response) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maximumBodyBytes) chunks.push(chunk);
      else response.destroy(new Error('the answer is too large'));
    });
    response.on('error', fail);
    response.on('end', () => resolve({ ok: true, status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
  });
  asked.end();
  return promise;
}
