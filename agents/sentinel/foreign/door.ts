import { Failure, messageOf } from '#bus/failure.ts';
import { createRateLimit, type RateLimit } from '#agents/runtime/rate-limit.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { HttpAnswer, HttpHead, HttpRequest, HttpSurface } from '#agents/runtime/http.ts';
import { refusePages } from '#agents/sentinel/web-page.ts';
import type { Complaints } from './complaints.ts';
import { isLocal, isSame, shownToken } from './credentials.ts';
import type { Receiver } from './receiver.ts';
import type { Source } from './source.ts';

interface DoorOptions {
  http: HttpSurface;
  receiver: Receiver;
  sources: readonly Source[];
  /** The token of each source that has one. */
  tokens: ReadonlyMap<string, string>;
  /** What the listener is configured to listen on: a name there is one of ours. */
  address: string;
  clock: Clock;
  complaints: Complaints;
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH'] as const;
/** Below the root: what a sender asks that was given an address without a path. */
const rootPaths = ['/api/v1/alerts', '/api/v2/*', '/-/healthy', '/-/ready', '/-/reload'] as const;
/** For each source, in pieces of a body. A Prometheus with thousands of alerts posts them by the hundred, each about one. */
const rate = { perSecond: 20, burst: 200 };
const pieceBytes = 65_536;
/** A question with a regular expression counts as this many: it may take a quarter of a second to give up on one. */
const expressionCost = 20;
const unstorable = 'cannot be stored now, send it again';

/** A source, and what of the path is below its address. */
interface Entrance {
  source: Source;
  path: string;
}

/**
 * Takes what others send at `/in/<name>` and `/in/<name>/<token>`. Contract: nothing is read of a body before its sender
 * is known; 4xx is final and 5xx asks for another try, as Alertmanager and Prometheus' senders understand them.
 */
export function openDoor(options: DoorOptions): void {
  const door = new Door(options);
  const route = {
    admit: (head: HttpHead) => door.refusal(head),
    maximumBodyBytes: (head: HttpHead) => door.maximumBytes(head),
    handler: (request: HttpRequest) => door.answer(request),
  };
  options.http.route(methods, '/in/:source', route);
  options.http.route(methods, '/in/:source/*', route);
  if (!options.sources.some(({ definition }) => definition.ask !== undefined)) return;
  for (const path of rootPaths) {
    const below = path.endsWith('*') ? path.slice(1, -1) : undefined;
    const at = <H extends HttpHead>(head: H): H => ({
      ...head,
      parameters: { root: below === undefined ? path.slice(1) : `${below}${head.parameters['*'] ?? ''}` },
    });
    options.http.route(methods, path, {
      admit: (head) => door.refusal(at(head)),
      maximumBodyBytes: (head) => door.maximumBytes(at(head)),
      handler: (request) => door.answer(at(request)),
    });
  }
}

/** A body that does not say how long it is may be as long as any. */
function announcedBytes({ headers }: HttpHead): number {
  const ofBody = headers['transfer-encoding'] === undefined ? 0 : Number.POSITIVE_INFINITY;
  return headers['content-length'] === undefined ? ofBody : Number(headers['content-length']);
}

function costOf(head: HttpHead, maximumBytes: number): number {
  const bytes = Math.min(announcedBytes(head), maximumBytes);
  const hasExpression =
    head.query.has('receiver') || head.query.getAll('filter').some((filter) => filter.includes('~'));
  return Math.max(1, Math.ceil(bytes / pieceBytes)) + (hasExpression ? expressionCost : 0);
}

class Door {
  readonly #options: DoorOptions;
  readonly #limit: RateLimit;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#limit = createRateLimit({ ...rate, clock: options.clock });
  }

  refusal(head: HttpHead): HttpAnswer | undefined {
    const entrance = this.#entrance(head);
    if ('status' in entrance) return entrance;
    const { name, definition } = entrance.source;
    if (this.#limit.take(name, costOf(head, definition.maximumBytes))) return undefined;
    this.#options.complaints.tell(name, 'an intake is flooded with requests');
    return { status: 429, body: 'too many requests\n', headers: { 'retry-after': '1' } };
  }

  maximumBytes(head: HttpHead): number {
    const entrance = this.#entrance(head);
    return 'status' in entrance ? 0 : entrance.source.definition.maximumBytes;
  }

  answer(request: HttpRequest): HttpAnswer {
    const entrance = this.#entrance(request);
    if ('status' in entrance) return entrance;
    const { source, path } = entrance;
    const { definition } = source;
    const isPost = path === (definition.postedTo ?? '') && request.method === 'POST';
    const answer = isPost ? this.#take(source, request) : this.#options.receiver.ask(source, { ...request, path });
    if (answer !== undefined) return answer;
    const isOtherMethod = path === (definition.postedTo ?? '');
    return isOtherMethod
      ? { status: 405, body: 'post it\n', headers: { allow: 'POST' } }
      : { status: 404, body: 'not found\n' };
  }

  #take(source: Source, request: HttpRequest): HttpAnswer {
    const { receiver, complaints } = this.#options;
    try {
      const received = receiver.receive(source, request);
      switch (received.is) {
        case 'taken':
          return { status: 200, body: source.definition.postedTo === undefined ? `${received.text}\n` : '' };
        case 'refused':
          complaints.tell(source.name, 'an intake got what it cannot take', received.reason);
          return { status: received.status, body: received.status === 401 ? 'unauthorized\n' : `${received.reason}\n` };
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      complaints.tell(source.name, 'an intake cannot store what it got', messageOf(error));
      return { status: 503, body: `${unstorable}\n`, headers: { 'retry-after': '10' } };
    }
  }

  /** Who this is, or what stands in the way. Costs no more than a hash or two. */
  #entrance(head: HttpHead): Entrance | HttpAnswer {
    const { root, source: name = '', '*': rest = '' } = head.parameters;
    if (root !== undefined) return this.#rootEntrance(head, root);
    const source = this.#options.sources.find((one) => one.name === name);
    if (source === undefined) return { status: 404, body: 'no intake of this name\n' };
    return this.#admitted(source, head, rest);
  }

  #rootEntrance(head: HttpHead, path: string): Entrance | HttpAnswer {
    const candidates = this.#options.sources.filter(({ definition }) => definition.ask !== undefined);
    const tried = candidates.map((source) => this.#admitted(source, head, path));
    return tried.find((one) => !('status' in one)) ?? tried[0] ?? { status: 404, body: 'not found\n' };
  }

  #admitted(source: Source, head: HttpHead, path: string): Entrance | HttpAnswer {
    const token = this.#options.tokens.get(source.name);
    if (token === undefined) return this.#fromHere(source, head) ?? { source, path };
    const shown = shownToken(head);
    if (shown !== undefined && isSame(shown, token)) return { source, path };
    const [first = '', ...below] = path.split('/');
    if (isSame(first, token)) return { source, path: below.join('/') };
    this.#options.complaints.tell(source.name, 'somebody without the right token came to an intake');
    return { status: 401, body: 'unauthorized\n', headers: { 'www-authenticate': 'Bearer' } };
  }

  #fromHere({ name }: Source, head: HttpHead): HttpAnswer | undefined {
    if (!isLocal(head)) {
      this.#options.complaints.tell(name, 'another machine came to an intake that has no token');
      return { status: 403, body: 'only from this machine: this intake has no token\n' };
    }
    return refusePages(head, this.#options.address);
  }
}
