import { stringify } from 'yaml';

/** A playbook of a person for a failed unit, preferred to those that ship because its risk is lower. */
export function ownPlaybook(options: { id: string; command: readonly string[] }): string {
  return stringify({
    schema: 'lares.playbook/1',
    id: options.id,
    title: `Do ${options.id} for {unit}`,
    about: 'Made by hand.',
    risk: 'low',
    answers: [{ alertname: 'unit-failed', unit: '.+' }],
    parameters: { unit: { type: 'unit', from: 'unit', description: 'The unit.' } },
    steps: [{ id: 'act', argv: options.command }],
  });
}
