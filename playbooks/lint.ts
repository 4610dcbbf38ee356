import { Failure, messageOf } from '#bus/failure.ts';
import type { Parameter, Playbook, ProbeUse, StepUse } from './playbook.ts';
import { faultsOfArgv, namesIn } from './render.ts';
import { commandsOf } from './step-kinds.ts';

/** A fault and where it is, as a path of keys in the file. */
interface PlaybookFault {
  path: readonly (string | number)[];
  message: string;
}

/** What the schema cannot see: templates, step kinds and regular expressions. */
export function lintPlaybook(playbook: Playbook): PlaybookFault[] {
  const known = (name: string): boolean => Object.hasOwn(playbook.parameters, name);
  return [
    ...Object.entries(playbook.parameters).flatMap(([name, parameter]) => lintParameter(name, parameter)),
    ...playbook.answers.flatMap((answer, index) =>
      Object.entries(answer).flatMap(([label, pattern]) => lintPattern(pattern, ['answers', index, label])),
    ),
    ...lintSteps('steps', playbook.steps, known),
    ...lintSteps('rollback', playbook.rollback, known),
    ...lintProbes('preconditions', playbook.preconditions, known),
    ...lintProbes('condition', playbook.condition, known),
    ...lintProbes('verification', playbook.verification, known),
    ...namesIn(playbook.title)
      .filter((name) => !known(name))
      .map((name) => ({ path: ['title'], message: `"{${name}}" is not a parameter` })),
  ];
}

function lintParameter(name: string, parameter: Parameter): PlaybookFault[] {
  const path = ['parameters', name];
  if (parameter.type === 'pattern') return lintPattern(parameter.pattern, [...path, 'pattern']);
  if (parameter.type === 'enum') {
    const { default: chosen, values } = parameter;
    return chosen === undefined || values.includes(chosen) ? [] : [{ path, message: 'the default is not a value' }];
  }
  if (parameter.type !== 'number') return [];
  const { min, max, default: chosen } = parameter;
  if (min > max) return [{ path, message: 'min is above max' }];
  return chosen === undefined || (chosen >= min && chosen <= max)
    ? []
    : [{ path, message: 'the default is out of bounds' }];
}

function lintSteps(key: string, steps: readonly StepUse[], known: (name: string) => boolean): PlaybookFault[] {
  return [...lintIds(key, steps), ...steps.flatMap((step, index) => lintStep([key, index], step, known))];
}

function lintStep(path: (string | number)[], step: StepUse, known: (name: string) => boolean): PlaybookFault[] {
  try {
    return commandsOf(step)
      .flatMap((command) => faultsOfArgv(command.argv, known))
      .map((message) => ({ path, message }));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return [{ path, message: error.message }];
  }
}

function lintProbes(key: string, probes: readonly ProbeUse[], known: (name: string) => boolean): PlaybookFault[] {
  return [
    ...lintIds(key, probes),
    ...probes.flatMap((probe, index) => [
      ...faultsOfArgv(probe.argv, known).map((message) => ({ path: [key, index, 'argv'], message })),
      ...lintPattern(probe.matches, [key, index, 'matches']),
      ...lintPattern(probe.matchesNot, [key, index, 'matchesNot']),
    ]),
  ];
}

function lintIds(key: string, uses: readonly { id: string }[]): PlaybookFault[] {
  return uses.flatMap(({ id }, index) =>
    uses.findIndex((other) => other.id === id) === index
      ? []
      : [{ path: [key, index, 'id'], message: `"${id}" is used twice` }],
  );
}

function lintPattern(pattern: string | undefined, path: readonly (string | number)[]): PlaybookFault[] {
  if (pattern === undefined) return [];
  try {
    return new RegExp(pattern, 'u').source === '' ? [{ path, message: 'is empty' }] : [];
  } catch (error) {
    return [{ path, message: messageOf(error) }];
  }
}
