import type { Parameters } from '#bus/fields.ts';
import { type PlannedHost, type PlannedProbe, type PlannedStep, PlanBody } from '#bus/messages/plan.ts';
import { withTimeout } from '#agents/runtime/guarded-command.ts';
import { commandsOf } from '#playbooks/step-kinds.ts';
import type { Playbook, ProbeUse, StepUse } from '#playbooks/playbook.ts';
import { renderArgv, renderText } from '#playbooks/render.ts';

/** A host with what decides about root. */
export interface Target {
  planned: PlannedHost;
  /** Whether commands that need root go through `sudo -n`: never for a login that is root. */
  sudo: boolean;
}

export interface RenderInput {
  /** Stands in the environment of every command, so that what is left of it can be found: see `leftovers.ts`. */
  plan: string;
  playbook: Playbook;
  playbookDigest: string;
  parameters: Parameters;
  targets: readonly Target[];
  /** Names of the findings that the plan is for; decides which conditions are looked at. */
  alertnames: readonly string[];
  protectedUnits: readonly string[];
}

/** The variable that marks all processes of one step, children and grandchildren included. */
export const markerVariable = 'LARES_STEP';

/**
 * The whole plan, pure: equal input gives equal bytes. Every argv is complete, with marker, `timeout` and `sudo -n`, so
 * that what is shown is what runs. `sudo` gets the plain command as its arguments, because sudoers files name it so;
 * the price is that `timeout` runs as the login: a process of root that ignores SIGTERM is found and told instead.
 */
export function renderBody(input: RenderInput): PlanBody {
  const markers = numbered(input.plan.replace(/^plan-/, ''));
  return PlanBody.parse({
    playbook: input.playbook.id,
    playbookDigest: input.playbookDigest,
    parameters: input.parameters,
    hosts: input.targets.map(({ planned }) => planned),
    preconditions: [...protectionProbes(input), ...probesOf(input.playbook.preconditions, input)],
    condition: probesOf(
      input.playbook.condition.filter(({ of }) => of === undefined || saysAllOf(of, input.alertnames)),
      input,
    ),
    steps: stepsOf(input.playbook.steps, input, markers),
    verification: probesOf(input.playbook.verification, input),
    rollback: stepsOf(input.playbook.rollback, input, markers),
  } satisfies PlanBody);
}

/** A condition speaks for a plan only when all that the plan is for is of its sort. */
function saysAllOf(names: readonly string[], alertnames: readonly string[]): boolean {
  return alertnames.length > 0 && alertnames.every((name) => names.includes(name));
}

/** One marker per step of a plan; a process carries it wherever it goes. */
function numbered(plan: string): () => string {
  let number = 0;
  return () => {
    number += 1;
    return `${plan}.${number}`;
  };
}

function stepsOf(uses: readonly StepUse[], input: RenderInput, marker: () => string): PlannedStep[] {
  return input.targets.flatMap((target) =>
    uses.flatMap((use) =>
      commandsOf(use).map((command, index, all) => {
        const sudo = command.sudo && target.sudo;
        const argv = renderArgv(command.argv, input.parameters);
        return {
          id: all.length === 1 ? use.id : `${use.id}-${index + 1}`,
          host: target.planned.host,
          argv: ['env', `${markerVariable}=${marker()}`, ...wrapped(argv, { sudo, timeoutMs: command.timeoutMs })],
          sudo,
          timeoutMs: command.timeoutMs,
          success: [...(command.success ?? [0])],
        };
      }),
    ),
  );
}

function probesOf(uses: readonly ProbeUse[], input: RenderInput): PlannedProbe[] {
  return input.targets.flatMap((target) => uses.map((use) => probeOf(use, target, input.parameters)));
}

function probeOf(use: ProbeUse, target: Target, parameters: Parameters): PlannedProbe {
  const sudo = use.sudo && target.sudo;
  return {
    id: use.id,
    host: target.planned.host,
    argv: wrapped(renderArgv(use.argv, parameters), { sudo, timeoutMs: use.timeout }),
    sudo,
    timeoutMs: use.timeout,
    success: use.success,
    states: renderText(use.states, parameters).slice(0, 600),
    ...(use.matches !== undefined && { matches: use.matches }),
    ...(use.matchesNot !== undefined && { matchesNot: use.matchesNot }),
  };
}

function wrapped(argv: readonly string[], how: { sudo: boolean; timeoutMs: number }): string[] {
  return withTimeout(how.sudo ? ['sudo', '-n', ...argv] : argv, how.timeoutMs);
}

/** The plain command of a step or a probe: what a process of it shows as its arguments, also behind `sudo`. */
export function plainCommand(step: Pick<PlannedStep, 'argv' | 'sudo'>): readonly string[] {
  // sudo -n ..., or timeout -k <seconds> <seconds> ...
  return step.sudo ? step.argv.slice(step.argv.indexOf('sudo') + 2) : step.argv.slice(step.argv.indexOf('timeout') + 4);
}

/** The marker of a step, as `renderBody` set it. */
export function markerOf(step: PlannedStep): string {
  return (step.argv[1] ?? '').slice(markerVariable.length + 1);
}

/**
 * A unit has more names than the one that was asked for (`sshd.service` is an alias of `ssh.service`): the host is
 * asked for all of them and none may be protected.
 */
function protectionProbes(input: RenderInput): PlannedProbe[] {
  const units = Object.entries(input.playbook.parameters).flatMap(([name, parameter]) =>
    parameter.type === 'unit' ? [String(input.parameters[name])] : [],
  );
  const patterns = protectionPatterns(input.protectedUnits);
  return input.targets.flatMap((target) =>
    units.flatMap((unit, unitIndex) =>
      patterns.map((matchesNot, index) => ({
        ...probeOf(
          {
            id: `not-protected-${unitIndex + 1}-${index + 1}`,
            argv: ['systemctl', 'show', '--property=Names', '--value', '--', unit],
            sudo: false,
            timeout: 15_000,
            success: [0],
            states: `${unit} is not protected`,
          },
          target,
          {},
        ),
        matchesNot,
      })),
    ),
  );
}

/** A probe's expression is at most 300 characters long, so many names become several expressions. */
const patternBudget = 220;

function protectionPatterns(units: readonly string[]): string[] {
  const groups: string[][] = [];
  let length = Number.POSITIVE_INFINITY;
  for (const unit of units.map(expressionOf)) {
    length += unit.length + 1;
    if (length > patternBudget) {
      groups.push([]);
      length = unit.length;
    }
    groups.at(-1)?.push(unit);
  }
  return groups.map((group) => `(^|\\s)(${group.join('|')})\\.(service|socket|timer|path)(\\s|$)`);
}

/** A name with `*` as a regular expression, without its suffix. */
export function expressionOf(unit: string): string {
  return unit
    .replace(/\.(service|socket|timer|path)$/, '')
    .replaceAll(/[.\\+?^${}()|[\]]/g, String.raw`\$&`)
    .replaceAll('*', String.raw`\S*`);
}
