import { Ident, ParameterValue, type Parameters } from '#bus/fields.ts';
import type { Inventory } from '#config/inventory.ts';
import type { Catalogue, Playbook } from '#playbooks/playbook.ts';
import type { ProposalDraft } from './propose.ts';

/** `<playbook> <host>[,<host>] name=value ...` to a proposal; the worker checks types, targets and conditions. */
export function parseRun(
  text: string,
  known: { catalogue: Catalogue; inventory: Inventory },
): { draft: ProposalDraft } | { refusal: string } {
  const [id = '', hostText = '', ...rest] = text.trim().split(/\s+/);
  const playbook = known.catalogue.get(id);
  if (playbook === undefined) {
    const ids = known.catalogue.all().map((entry) => entry.id);
    return { refusal: `There is no playbook "${id.slice(0, 60)}". There are: ${ids.join(', ')}` };
  }
  const hosts = hostText.split(',').filter((host) => host !== '');
  const stranger = hosts.find((host) => known.inventory.nodes.get(host)?.type !== 'host');
  if (hosts.length === 0) return { refusal: `Say where: /run ${id} <host>` };
  if (stranger !== undefined || hosts.some((host) => !Ident.safeParse(host).success)) {
    return { refusal: `There is no host "${(stranger ?? '').slice(0, 60)}" in the configuration.` };
  }
  if (hosts.length > playbook.limits.targets) {
    return { refusal: `"${id}" runs on at most ${playbook.limits.targets} hosts at once.` };
  }
  const parameters = parametersOf(playbook, rest);
  return typeof parameters === 'string' ? { refusal: parameters } : { draft: { playbook: id, parameters, hosts } };
}

function parametersOf(playbook: Playbook, words: readonly string[]): Parameters | string {
  const parameters: Parameters = {};
  for (const word of words) {
    const at = word.indexOf('=');
    const name = at < 0 ? word : word.slice(0, at);
    const parameter = Object.hasOwn(playbook.parameters, name) ? playbook.parameters[name] : undefined;
    if (at < 0 || parameter === undefined) {
      const names = Object.keys(playbook.parameters).join(', ') || 'none';
      return `"${word.slice(0, 60)}" is no parameter of "${playbook.id}". It has: ${names}`;
    }
    const text = word.slice(at + 1);
    const value = ParameterValue.safeParse(parameter.type === 'number' && text !== '' ? Number(text) : text);
    if (!value.success || Number.isNaN(value.data)) return `"${name}" is not a ${parameter.type}.`;
    parameters[name] = value.data;
  }
  return parameters;
}
