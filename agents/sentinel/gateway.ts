import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { z } from 'zod';
import { CheckCommon } from '#config/check-config.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import { defineCheck, noEvidence, type Observation } from './check.ts';
import type { BoundCheck } from './registry.ts';

/** The id of the check that sentinel adds by itself when a gateway is configured. */
const gatewayCheckId = 'lares-gateway';

/** Routers answer at least one of these, if only with a refusal. */
const ports = [443, 80, 53];
const answerMs = 3_000;
const everyMs = 30_000;
/** An answer this old still tells whether a failure of now is the gateway's. */
const freshMs = 5_000;

/** Whether this machine can reach anything beyond itself. */
export interface Gateway {
  check: BoundCheck;
  /** Asks when the last answer is not fresh; questions at the same time share one answer. Takes 3 s at most. */
  answers(): Promise<boolean>;
  /** The reason that goes with what cannot be judged while it does not answer. */
  reason: string;
}

export function createGateway({ address, clock }: { address: string; clock: Clock }): Gateway {
  let last: { at: number; isUp: boolean } | undefined;
  let asking: Promise<boolean> | undefined;
  const ask = (): Promise<boolean> => {
    asking ??= reaches(address)
      .then((isUp) => {
        last = { at: clock.now(), isUp };
        return isUp;
      })
      .finally(() => {
        asking = undefined;
      });
    return asking;
  };
  return {
    reason: `the gateway ${address} does not answer`,
    answers: () => (last !== undefined && clock.now() - last.at < freshMs ? Promise.resolve(last.isUp) : ask()),
    check: gatewayCheck(address, ask),
  };
}

function gatewayCheck(address: string, ask: () => Promise<boolean>): BoundCheck {
  const definition = defineCheck({
    kind: 'gateway',
    about: 'Whether the gateway of this machine answers; while it does not, remote checks are unknown.',
    options: z.object({}),
    reach: 'network',
    evidence: noEvidence,
    resourceOf: () => address,
    async observe(): Promise<Observation[]> {
      const ok = await ask();
      const summary = ok
        ? `Gateway ${address} answers`
        : `Gateway ${address} does not answer: remote checks are unknown`;
      return [
        {
          condition: 'gateway-unreachable',
          resource: address,
          reading: { is: 'state', ok, severity: 'critical' },
          summary,
          holdMs: 60_000,
        },
      ];
    },
  });
  const config = { ...CheckCommon.parse({ id: gatewayCheckId, kind: 'gateway' }), options: {} };
  return {
    id: gatewayCheckId,
    kind: 'gateway',
    config,
    definition,
    options: {},
    resource: address,
    intervalMs: everyMs,
    isTried: false,
    isRemote: false,
  };
}

/** True as soon as anything answers; a refused connection is an answer. */
async function reaches(address: string): Promise<boolean> {
  const done = new AbortController();
  const signal = AbortSignal.any([done.signal, AbortSignal.timeout(answerMs)]);
  const tries = [...ports.map((port) => dials(address, port, signal)), pings(address, signal)];
  const silent = Promise.all(tries).then((answers) => answers.includes(true));
  const first = new Promise<true>((resolve) => {
    for (const attempt of tries) void attempt.then((answered) => answered && resolve(true));
  });
  try {
    return await Promise.race([first, silent]);
  } finally {
    done.abort();
  }
}

function dials(address: string, port: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, noDelay: true });
    const end = (answered: boolean): void => {
      signal.removeEventListener('abort', abort);
      socket.destroy();
      resolve(answered);
    };
    const abort = (): void => end(false);
    signal.addEventListener('abort', abort, { once: true });
    socket.once('connect', () => end(true));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED'));
  });
}

/** One echo by the system's `ping`; where there is none, the dialled ports decide. */
function pings(address: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    execFile('ping', ['-n', '-c', '1', '-W', '2', '--', address], { signal }, (error) => resolve(error === null));
  });
}
