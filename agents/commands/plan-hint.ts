import type { Plan } from '#bus/messages/plan.ts';
import type { Catalogue, Playbook } from '#playbooks/playbook.ts';
import type { Proposal } from '#bus/messages/proposal.ts';

/** What a person can type instead, when the worker refused to plan for what was typed; none when something else is wrong. */
export function hintsFor(plan: Plan, asked: Proposal, catalogue: Pick<Catalogue, 'all' | 'get'>): string[] {
  if (plan.status !== 'refused' || plan.body !== undefined) return [];
  const playbook = catalogue.get(asked.playbook);
  if (playbook === undefined)
    return [
      `playbooks: ${catalogue
        .all()
        .map(({ id }) => id)
        .toSorted()
        .join(', ')}`,
    ];
  const declared = Object.keys(playbook.parameters);
  const missing = declared.filter((name) => isNeeded(playbook, name) && !Object.hasOwn(asked.parameters, name));
  const strange = Object.keys(asked.parameters).filter((name) => !declared.includes(name));
  return missing.length === 0 && strange.length === 0 ? [] : usageOf(playbook, asked.hosts);
}

function isNeeded(playbook: Playbook, name: string): boolean {
  const parameter = playbook.parameters[name];
  return parameter !== undefined && !('default' in parameter && parameter.default !== undefined);
}

function usageOf(playbook: Playbook, hosts: readonly string[]): string[] {
  const names = Object.keys(playbook.parameters);
  if (names.length === 0) return [`"${playbook.id}" takes no parameter`];
  const needed = names.filter((name) => isNeeded(playbook, name)).map((name) => ` -p ${name}=...`);
  return [
    `usage: ${playbook.id} ${hosts.map((host) => `--host ${host}`).join(' ')}${needed.join('')}`,
    ...names.map((name) => {
      const about = playbook.parameters[name]?.description ?? '';
      return `  ${name}${isNeeded(playbook, name) ? '' : ' (optional)'}: ${about}`;
    }),
  ];
}
