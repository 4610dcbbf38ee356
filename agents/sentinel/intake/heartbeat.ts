import type { Clock } from '#agents/runtime/clock.ts';
import type { HttpAnswer, HttpRequest, HttpSurface } from '#agents/runtime/http.ts';
import type { Ping } from '#agents/sentinel/check.ts';

/** As much of a ping's body as Healthchecks keeps. */
const maximumBody = 10_240;
const methods = ['GET', 'HEAD', 'POST'] as const;

interface HeartbeatIntake {
  /** Whether a check waits for pings under this id. */
  isKnown: (id: string) => boolean;
  /** Called before the ping is answered. */
  onPing: (id: string, ping: Ping) => void;
  clock: Clock;
}

/**
 * Healthchecks' ping addresses: `/ping/<id>`, `/start`, `/fail`, `/log` and `/<exit status>`. An id that no check waits
 * for is refused, so that a misspelt address shows.
 */
export function acceptHeartbeats(http: HttpSurface, intake: HeartbeatIntake): void {
  const answer = (request: HttpRequest): HttpAnswer => {
    const id = request.parameters['id'] ?? '';
    if (!intake.isKnown(id)) return { status: 404, body: 'not found' };
    const kind = kindOf(request.parameters['signal']);
    if (kind === undefined) return { status: 400, body: 'invalid url format' };
    // A log entry tells nothing of how the job goes.
    if (kind !== 'log') {
      intake.onPing(id, { at: intake.clock.now(), kind, body: request.body.slice(0, maximumBody) });
    }
    return { status: 200, body: 'OK' };
  };
  http.route(methods, '/ping/:id', answer);
  http.route(methods, '/ping/:id/:signal', answer);
}

function kindOf(signal: string | undefined): Ping['kind'] | 'log' | undefined {
  switch (signal) {
    case undefined:
      return 'success';
    case 'start':
    case 'fail':
    case 'log':
      return signal;
    default:
      break;
  }
  if (!/^\d{1,3}$/.test(signal) || Number(signal) > 255) return undefined;
  return Number(signal) === 0 ? 'success' : 'fail';
}
