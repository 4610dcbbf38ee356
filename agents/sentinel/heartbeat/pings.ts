import type { Clock } from '#agents/runtime/clock.ts';
import type { HttpAnswer, HttpRequest, HttpSurface } from '#agents/runtime/http.ts';
import { createRateLimit } from '#agents/runtime/rate-limit.ts';
import type { Ping } from '#agents/sentinel/check.ts';
import { refusePages } from '#agents/sentinel/web-page.ts';
import type { Waiting } from './waiting.ts';

/** As much of a ping's body as Healthchecks keeps. */
const maximumBody = 10_240;
const methods = ['GET', 'HEAD', 'POST'] as const;
/** For each heartbeat, whoever sends: each ping is a write to the disk and may be a look. */
const rate = { perSecond: 2, burst: 60 };

interface HeartbeatIntake {
  waiting: Pick<Waiting, 'nameOf'>;
  /** Called before the ping is answered. */
  onPing: (name: string, ping: Ping) => void;
  /** What the listener is configured to listen on: a name there is one of ours. */
  address: string;
  clock: Clock;
}

/**
 * Healthchecks' ping addresses: `/ping/<name or token>`, `/start`, `/fail`, `/log` and `/<exit status>`. One that no
 * check waits for is refused, so that a misspelt address shows. Web pages are refused: a browser of the house reaches
 * this listener, and a page from anywhere could call a job well that never ran.
 */
export function acceptHeartbeats(http: HttpSurface, intake: HeartbeatIntake): void {
  const limit = createRateLimit({ ...rate, clock: intake.clock });
  const answer = (request: HttpRequest): HttpAnswer => {
    const foreign = refusePages(request, intake.address);
    if (foreign !== undefined) return foreign;
    const name = intake.waiting.nameOf(request.parameters['id'] ?? '');
    if (name === undefined) return { status: 404, body: 'not found' };
    if (!limit.take(name)) return { status: 429, body: 'too many pings' };
    const report = reportIn(request.parameters['signal']);
    if (report === undefined) return { status: 400, body: 'invalid url format' };
    // A log entry tells nothing of how the job goes.
    if (report !== 'log') {
      intake.onPing(name, { ...report, at: intake.clock.now(), body: request.body.slice(0, maximumBody) });
    }
    return { status: 200, body: 'OK' };
  };
  http.route(methods, '/ping/:id', answer);
  http.route(methods, '/ping/:id/:signal', answer);
}

function reportIn(signal: string | undefined): Pick<Ping, 'kind' | 'exitStatus'> | 'log' | undefined {
  switch (signal) {
    case undefined:
      return { kind: 'success' };
    case 'start':
    case 'fail':
      return { kind: signal };
    case 'log':
      return signal;
    default:
      break;
  }
  const exitStatus = /^\d{1,3}$/.test(signal) ? Number(signal) : undefined;
  if (exitStatus === undefined || exitStatus > 255) return undefined;
  return exitStatus === 0 ? { kind: 'success' } : { kind: 'fail', exitStatus };
}
