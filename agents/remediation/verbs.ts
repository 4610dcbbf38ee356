import { z } from 'zod';
import type { Bus } from '#bus/bus.ts';
import { Failure } from '#bus/failure.ts';
import { Ident } from '#bus/fields.ts';
import { Freeze } from '#bus/messages/freeze.ts';
import type { Plan } from '#bus/messages/plan.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { RateLimit } from '#agents/runtime/rate-limit.ts';
import { commandLineOf } from '#agents/runtime/shell.ts';
import type { Board } from './board.ts';
import type { FreezeGate } from './freeze-gate.ts';
import { refusalFrom } from './guard-probes.ts';
import { takeOrder } from './orders.ts';
import { tooMany } from './pace.ts';
import type { JudgingContext } from './persons-word.ts';
import { lookAt, type Seen } from './probe.ts';
import type { Reach } from './reach.ts';
import { release } from './recovery.ts';
import type { RemediationStore } from './store.ts';

interface VerbContext {
  store: RemediationStore;
  reach: Reach;
  board: Board;
  clock: Clock;
  freeze: FreezeGate;
  judging: JudgingContext;
  limit: RateLimit;
  stopping: AbortSignal;
  /** See `placesOfKeys`. */
  keyFiles: Record<'triage' | 'console', string>;
}

const listed = 20;
const dryRunTimeoutMs = 60_000;

/** What the worker answers on the bus. None of it runs a step; what gives power back takes a signed word of an approver. */
export function serveVerbs(bus: Bus, by: VerbContext): void {
  bus.serve('dry-run', (data) => dryRun(by, data));
  bus.serve('plans', async () => ({ plans: by.store.plans.newestPlans(listed).map(planLine) }));
  bus.serve('runs', async () => ({
    runs: by.store.runs.newest(listed),
    blocks: by.store.guards.blocks().slice(0, 100),
  }));
  // Public keys and where they lie: who asks learns why its word does not count, and what would make it count.
  bus.serve('signers', async () => ({ keys: [...by.judging.trustedKeys().keys()], files: by.keyFiles }));
  bus.serve('thaw', async (data) => thaw(by, data));
  bus.serve('unblock', async (data) => unblock(by, data));
  bus.serve('release', async (data) => releaseHosts(by, data));
}

/** Looks at everything that the run would look at and says what would run. Changes nothing. */
async function dryRun({ store, reach, limit, stopping }: VerbContext, data: unknown): Promise<Record<string, unknown>> {
  const { plan: id } = parsed(z.object({ plan: Ident }), data);
  const plan = store.plans.plan(id)?.plan;
  const body = plan?.body;
  if (plan === undefined || body === undefined) throw unknown(`plan "${id}"`);
  if (!limit.take('dry-run')) throw new Failure(`Cannot dry run: ${tooMany('dry runs')}`, { recoverable: true });
  const by = { reach, signal: AbortSignal.any([stopping, AbortSignal.timeout(dryRunTimeoutMs)]) };
  const [preconditions, conditions] = await Promise.all([
    lookAt(body.preconditions, body.hosts, by),
    lookAt(body.condition, body.hosts, by),
  ]);
  const reason = refusalFrom(preconditions, conditions);
  return {
    plan: id,
    wouldRun: reason === undefined,
    ...(reason !== undefined && { reason }),
    probes: [...preconditions, ...conditions].map(probeLine),
    commands: body.steps.map(({ host, argv }) => ({ host, command: commandLineOf(argv) })),
    rollback: body.rollback.map(({ host, argv }) => ({ host, command: commandLineOf(argv) })),
  };
}

function probeLine({ probe, holds, said }: Seen): Record<string, unknown> {
  return { host: probe.host, states: probe.states, holds, said };
}

/** Everything but the commands: those are on the plan's own topic. */
function planLine({ body, ...plan }: Plan): Record<string, unknown> {
  return { ...plan, hosts: body?.hosts.map(({ host }) => host) ?? [] };
}

function thaw({ freeze }: VerbContext, data: unknown): Record<string, unknown> {
  const refusal = freeze.thaw(parsed(Freeze.extend({ frozen: z.literal(false) }), data));
  if (refusal === undefined) return { frozen: false };
  throw new Failure(`The worker stays frozen: ${refusal}`, { recoverable: false });
}

function unblock({ store, clock, judging }: VerbContext, order: unknown): Record<string, unknown> {
  const schema = z.strictObject({ playbook: Ident, host: Ident.optional() });
  const { data, person } = takeOrder(judging, { verb: 'unblock', data: order, schema });
  const { playbook, host } = data;
  return store.rows.transaction(() => {
    const removed = store.guards.unblock(playbook, host);
    const body = { host: host ?? null, removed, by: person };
    store.journal.append({ at: clock.now(), kind: 'unblock', subject: playbook, body });
    return { removed };
  });
}

/** A person has looked at the hosts of a run whose end nobody knows. */
function releaseHosts(by: VerbContext, order: unknown): Record<string, unknown> {
  const schema = z.strictObject({ run: Ident });
  const { data, person } = takeOrder(by.judging, { verb: 'release', data: order, schema });
  if (!release(by, data.run, `released by ${person}`)) throw unknown(`run "${data.run}" that holds a host`);
  return { run: data.run };
}

function parsed<S extends z.ZodType>(schema: S, data: unknown): z.output<S> {
  const result = schema.safeParse(data);
  if (!result.success) throw new Failure(`Cannot answer: ${z.prettifyError(result.error)}`, { recoverable: false });
  return result.data;
}

function unknown(what: string): Failure {
  return new Failure(`Cannot answer: there is no ${what}`, { recoverable: false });
}
