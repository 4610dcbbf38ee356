import { Ident } from './fields.ts';
import { AgentName, identityIn, type MessageKind, prefixOf } from './message.ts';
import { agentHealth } from './messages/agent-health.ts';
import { agentState } from './messages/agent-state.ts';
import { approval } from './messages/approval.ts';
import { assessment } from './messages/assessment.ts';
import { digest } from './messages/digest.ts';
import { finding } from './messages/finding.ts';
import { freeze } from './messages/freeze.ts';
import { hostState } from './messages/host-state.ts';
import { incident } from './messages/incident.ts';
import { inventory } from './messages/inventory.ts';
import { manifest } from './messages/manifest.ts';
import { plan } from './messages/plan.ts';
import { proposal } from './messages/proposal.ts';
import { rejected } from './messages/rejected.ts';
import { request } from './messages/request.ts';
import { response } from './messages/response.ts';
import { run } from './messages/run.ts';
import { verdict } from './messages/verdict.ts';
import { serves, verbsOf } from './verbs.ts';

/** Every kind of message there is. A test compares it with the folder. */
export const allKinds: readonly MessageKind[] = [
  agentHealth,
  agentState,
  approval,
  assessment,
  digest,
  finding,
  freeze,
  hostState,
  incident,
  inventory,
  manifest,
  plan,
  proposal,
  rejected,
  request,
  response,
  run,
  verdict,
];

/** `agent/<name>/...` is each agent's own. */
function isOwn(kind: MessageKind): boolean {
  return kind.filter.startsWith('agent/+/');
}

export function mayPublish(agent: AgentName, site: string, topic: string): boolean {
  return allKinds.some((kind) => {
    if (!kind.writers.includes(agent)) return false;
    const identity = identityIn(site, kind, topic);
    if (identity === undefined) return false;
    if (isOwn(kind)) return identity === agent;
    if (kind.name === response.name) return serves(agent, identity);
    return !kind.filter.includes('+') || Ident.safeParse(identity).success;
  });
}

/** Everything of the own site, whatever the wildcards; no `$share/...`, which would take messages from the others. */
export function maySubscribe(site: string, filter: string): boolean {
  return filter.startsWith(`${prefixOf(site)}/`);
}

/** The part of a kind's topics that an agent may write. */
function filtersFor(kind: MessageKind, agent: AgentName): string[] {
  if (isOwn(kind)) return [kind.filter.replace('+', agent)];
  if (kind.name === response.name) return verbsOf(agent).map((verb) => kind.filter.replace('+', verb));
  return [kind.filter];
}

/** The same rules as an `acl_file` of Mosquitto, for users named after the agents. */
export function mosquittoAcl(site: string): string {
  const lines = [
    '# Who may say what on the bus of Lares. Written by a generator from the kinds of messages: do not edit by hand.',
    `# Users are ${AgentName.options.join(', ')}; everybody else may do nothing.`,
  ];
  for (const agent of AgentName.options) {
    lines.push('', `user ${agent}`, `topic read ${prefixOf(site)}/#`);
    for (const kind of allKinds.filter((kind) => kind.writers.includes(agent))) {
      lines.push(...filtersFor(kind, agent).map((filter) => `topic write ${prefixOf(site)}/${filter}`));
    }
  }
  return `${lines.join('\n')}\n`;
}
