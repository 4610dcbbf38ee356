import type { Command } from 'commander';
import { Failure } from '#bus/failure.ts';
import { shippedGuardians } from '#config/guardian.ts';
import { systemClock } from '../runtime/clock.ts';
import { Limiter } from '../runtime/limiter.ts';
import type { CheckMemory, Observation } from '../sentinel/check.ts';
import { severityOf } from '../sentinel/judge.ts';
import { type LookOptions, observe } from '../sentinel/look.ts';
import { createProbes, type Probes } from '../sentinel/probe.ts';
import type { BoundCheck } from '../sentinel/registry.ts';
import { visibleLine } from '../triage/render/visible.ts';
import { bindLoaded } from './checks-of.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';

interface Look {
  check: BoundCheck;
  observations: Observation[];
}

/** `lares check [id]`: look once, now, without the bus and without keeping anything. */
export function addCheck(program: Command): void {
  addCommand(program, {
    name: 'check',
    about: 'Run the checks once and print what they see; nothing is stored or sent',
    arguments: [['[id]', 'only the check with this id']],
    run: check,
  });
}

async function check(context: CommandContext): Promise<number> {
  const id = context.arguments[0];
  const all = await bindLoaded(context.loaded);
  const chosen = chosenOf(all, id);
  if (chosen.length === 0) {
    if (id !== undefined && shippedGuardians().has(id)) {
      throw new Failure(`Cannot check "${id}": this guardian has no checks here yet; presets bring them`, {
        recoverable: false,
      });
    }
    throw new Failure(`Cannot check "${id ?? ''}": known are ${all.map((bound) => bound.id).join(', ')}`, {
      recoverable: false,
    });
  }
  const probes = createProbes({ config: context.loaded.config, clock: systemClock, log: context.log });
  const limiter = new Limiter({ perKey: 4, total: 64 });
  const lasting = new AbortController();
  try {
    const looks = await Promise.all(
      chosen.map((bound) =>
        limiter.run(
          bound.host?.name ?? 'network',
          () => look(bound, { context, probes, lasting: lasting.signal }),
          context.signal,
        ),
      ),
    );
    return report(context, looks);
  } finally {
    lasting.abort();
    await probes.close();
  }
}

/** A guardian stands for the checks of its round. */
function chosenOf(all: readonly BoundCheck[], id: string | undefined): BoundCheck[] {
  const guardian = all.find((bound) => bound.id === id && bound.kind === 'guardian');
  const looking = all.filter(({ kind }) => kind !== 'guardian');
  if (guardian !== undefined) return looking.filter(({ config }) => config.guardian === guardian.options['name']);
  return id === undefined ? looking : looking.filter((bound) => bound.id === id);
}

async function look(
  check: BoundCheck,
  { context, probes, lasting }: { context: CommandContext; probes: Probes; lasting: AbortSignal },
): Promise<Look> {
  const options: LookOptions = {
    clock: systemClock,
    log: context.log,
    probes,
    pings: { last: () => undefined, knownSince: () => systemClock.now() },
    others: () => undefined,
    baseFolder: context.loaded.baseFolder,
    lasting,
  };
  const { observations } = await observe(check, options, { memory: forgettingMemory(), signal: context.signal });
  return { check, observations };
}

function forgettingMemory(): CheckMemory {
  const values = new Map<string, unknown>();
  return { get: (key) => values.get(key), set: (key, value) => void values.set(key, value) };
}

const order = ['absent', 'ok', 'asleep', 'info', 'unknown', 'warning', 'critical'];

function report(context: CommandContext, looks: readonly Look[]): number {
  const absent = absentOf(looks);
  const rows = looks.flatMap((one) =>
    one.observations.map((observation) => ({
      check: one.check.id,
      condition: observation.condition,
      resource: observation.resource,
      state: absent.has(one) ? 'absent' : stateOf(observation),
      summary: observation.summary,
    })),
  );
  if (context.json) context.printJson({ observations: rows });
  else {
    const silent = looks.filter((look) => look.observations.length === 0).map((look) => look.check.id);
    if (silent.length > 0) context.print(`nothing to look at for: ${silent.join(', ')}`);
    // What is wrong stands last: where a terminal ends.
    const worstLast = rows.toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
    for (const row of worstLast) context.print(`${row.state.padEnd(8)}  ${row.check}  ${visibleLine(row.summary)}`);
  }
  if (rows.some((row) => row.state === 'warning' || row.state === 'critical')) return exitStatus.wrong;
  return looks.some((one) => isBlind(one) && !absent.has(one)) ? exitStatus.unable : exitStatus.well;
}

/** A guardian tries what it may: what it cannot see of that is shown and is no failure, unless it sees nothing at all. */
function isBlind(one: Look): boolean {
  return one.check.isTried ? seesNothing(one) : one.observations.some(({ reading }) => reading.is === 'unknown');
}

/**
 * What only a guardian looks for, and what this host has none of: no ZFS, no sensors. `lares up` keeps silent about it.
 * Where no other look at the host saw anything, nobody can say so: it may not have answered.
 */
function absentOf(looks: readonly Look[]): ReadonlySet<Look> {
  const seen = looks.filter((one) => one.check.definition.reach === 'host' && !seesNothing(one));
  const hosts = new Set(seen.map(({ check }) => check.host?.name));
  return new Set(looks.filter((one) => one.check.isTried && seesNothing(one) && hosts.has(one.check.host?.name)));
}

function seesNothing({ observations }: Look): boolean {
  return observations.length > 0 && observations.every(({ reading }) => reading.is === 'unknown');
}

function stateOf({ reading }: Observation): string {
  if (reading.is === 'unknown' || reading.is === 'asleep') return reading.is;
  if (reading.is === 'state') return reading.ok ? 'ok' : reading.severity;
  return severityOf(reading) ?? 'ok';
}
