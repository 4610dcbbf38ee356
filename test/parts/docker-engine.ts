import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A container as a test describes it; the rest is as the engine fills it in. */
export interface FakeContainer {
  name: string;
  status?: 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';
  exitCode?: number;
  outOfMemory?: boolean;
  restarts?: number;
  policy?: 'no' | 'on-failure' | 'always' | 'unless-stopped';
  health?: 'starting' | 'healthy' | 'unhealthy';
  /** What it was made from. */
  image?: string;
  hasTerminal?: boolean;
  /** With the label of NodeTool's proxy. */
  isOnDemand?: boolean;
  log?: { stream: 'stdout' | 'stderr'; text: string }[];
}

interface FakeDocker extends AsyncDisposable {
  readonly socketPath: string;
  containers: FakeContainer[];
  /** When all of its images were built. */
  imageBuiltAt: string;
  /** `vanish`: containers are in the list and gone when they are asked for. */
  fault: 'none' | 'hang' | 'error' | 'garbage' | 'vanish';
}

/**
 * The read side of Docker's Engine API on a unix socket, as version 1.41 to 1.51 answers it (moby's `api/swagger.yaml`):
 * optional `/v1.NN` in front, health only as text in the list, `Running` true while a crash loop waits, framed logs.
 */
export async function startDockerEngine(containers: FakeContainer[] = []): Promise<FakeDocker> {
  const folder = mkdtempSync(join(tmpdir(), 'lares-docker-'));
  const ids = new Map<string, string>();
  const idOf = (name: string): string => {
    const id = ids.get(name) ?? randomBytes(32).toString('hex');
    ids.set(name, id);
    return id;
  };
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    if (engine.fault === 'hang') return;
    const answer = answerTo((request.url ?? '').replace(/^\/v1\.\d+/, ''), engine, idOf);
    response.writeHead(answer.status, { 'api-version': '1.41' });
    response.end(
      typeof answer.body === 'string' || Buffer.isBuffer(answer.body) ? answer.body : JSON.stringify(answer.body),
    );
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const socketPath = join(folder, 'docker.sock');
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const engine: FakeDocker = {
    socketPath,
    containers,
    imageBuiltAt: '2026-08-12T00:00:00.123456789Z',
    fault: 'none',
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return engine;
}

function answerTo(
  path: string,
  engine: FakeDocker,
  idOf: (name: string) => string,
): { status: number; body: object | string | Buffer } {
  if (engine.fault === 'error') return { status: 500, body: { message: 'driver failed' } };
  if (engine.fault === 'garbage') return { status: 200, body: '<html>\u001b[31mnot docker</html>' };
  if (path === '/_ping') return { status: 200, body: 'OK' };
  if (path.startsWith('/containers/json')) {
    return { status: 200, body: engine.containers.map((container) => listed(container, idOf(container.name))) };
  }
  if (path.startsWith('/images/')) return imageOf(path, engine);
  const [, wanted = '', what = ''] = /^\/containers\/([^/]+)\/(json|logs)/.exec(path) ?? [];
  const found = engine.containers.find(({ name }) => name === wanted || idOf(name) === wanted);
  if (found === undefined || engine.fault === 'vanish') {
    return { status: 404, body: { message: `No such container: ${wanted}` } };
  }
  return { status: 200, body: what === 'json' ? inspected(found, idOf(found.name)) : logOf(found) };
}

function listed(container: FakeContainer, id: string): object {
  const { name, status = 'running', health } = container;
  const text = status === 'running' ? `Up 7 seconds${health === undefined ? '' : ` (${health})`}` : 'Exited';
  return { Id: id, Names: [`/${name}`], Image: 'bb:1', State: status, Status: text, Labels: {}, Ports: [], Created: 1 };
}

/** What `GET /containers/{id}/json` and `docker inspect` say. */
export function inspected(container: FakeContainer, id: string): object {
  const { name, status = 'running', exitCode = 0, restarts = 0, policy = 'no', health } = container;
  const isRunning = status === 'running' || status === 'restarting' || status === 'paused';
  return {
    Id: id,
    Name: `/${name}`,
    RestartCount: restarts,
    Image: `sha256:${'0'.repeat(64)}`,
    State: {
      Status: status,
      Running: isRunning,
      Paused: status === 'paused',
      Restarting: status === 'restarting',
      OOMKilled: container.outOfMemory === true,
      Dead: status === 'dead',
      Pid: status === 'running' ? 4_711 : 0,
      ExitCode: exitCode,
      Error: '',
      StartedAt: '2026-11-20T03:00:00.123456789Z',
      FinishedAt: '0001-01-01T00:00:00Z',
      ...(health !== undefined && {
        Health: { Status: health, FailingStreak: health === 'unhealthy' ? 3 : 0, Log: [] },
      }),
    },
    HostConfig: { RestartPolicy: { Name: policy, MaximumRetryCount: 0 } },
    Config: {
      Image: container.image ?? 'bb:1',
      Tty: container.hasTerminal === true,
      Env: ['PASSWORD=planted'],
      Labels: labelsOf(container),
    },
  };
}

function imageOf(path: string, engine: FakeDocker): { status: number; body: object } {
  return { status: 200, body: { Id: path.split('/')[2], Created: engine.imageBuiltAt, RepoTags: ['bb:1'] } };
}

function labelsOf({ isOnDemand }: FakeContainer): Record<string, string> {
  return isOnDemand === true ? { 'com.nodetool.managed': 'true', 'com.nodetool.service': 'main' } : {};
}

function logOf(container: FakeContainer): Buffer {
  const pieces = (container.log ?? []).map(({ stream, text }) => {
    const bytes = Buffer.from(text);
    if (container.hasTerminal === true) return bytes;
    const head = Buffer.alloc(8);
    head.writeUInt8(stream === 'stdout' ? 1 : 2);
    head.writeUInt32BE(bytes.length, 4);
    return Buffer.concat([head, bytes]);
  });
  return Buffer.concat(pieces);
}
