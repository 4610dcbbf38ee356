import type { Assessment } from '#bus/messages/assessment.ts';
import type { Finding } from '#bus/messages/finding.ts';
import { checkParameters } from '#playbooks/parameters.ts';
import type { Candidate, Playbook } from '#playbooks/playbook.ts';
import type { ModelOpinion } from './answer.ts';
import type { IncidentFacts } from './incident-facts.ts';

type Accepted = { ok: true; proposal: NonNullable<Assessment['proposal']> } | { ok: false; fault: string };

/**
 * What becomes of the playbook that a model named. Contract: accepted are only playbooks that were shown, values that
 * pass their types, targets that the findings of this host name, and the host of the root finding, if it is ours.
 */
export function acceptProposal(
  opinion: Pick<ModelOpinion, 'playbook' | 'parameters'>,
  given: { facts: IncidentFacts; shown: readonly Candidate[]; freePaths: readonly string[] },
): Accepted {
  const { facts, shown } = given;
  const { host } = facts.root;
  if (opinion.playbook === undefined) return refuse('none was named');
  if (host === undefined || !facts.inventory.includes(host)) return refuse('the host is not in the inventory');
  const candidate = shown.find(({ playbook }) => playbook.id === opinion.playbook);
  if (candidate === undefined) return refuse(`"${opinion.playbook}" is not in the catalogue that was shown`);
  const { playbook } = candidate;
  const values = { ...candidate.parameters, ...opinion.parameters };
  const checked = checkParameters(playbook, values, { freePaths: given.freePaths });
  if (!checked.ok) return refuse(checked.faults.join('; ').slice(0, 300));
  const invented = inventedTarget(playbook, {
    values: checked.parameters,
    given: values,
    known: targetsOf(facts, host),
  });
  if (invented !== undefined) return refuse(`"${invented}" names a target that no finding of the host knows`);
  return { ok: true, proposal: { playbook: playbook.id, parameters: checked.parameters, hosts: [host] } };
}

function refuse(fault: string): Accepted {
  return { ok: false, fault };
}

const targetTypes = new Set(['unit', 'container', 'path']);

/** The first parameter whose value no finding holds, as it was given or as it was written out. */
function inventedTarget(
  playbook: Playbook,
  of: {
    values: Readonly<Record<string, unknown>>;
    given: Readonly<Record<string, unknown>>;
    known: ReadonlySet<string>;
  },
): string | undefined {
  return Object.entries(playbook.parameters).find(
    ([name, parameter]) =>
      targetTypes.has(parameter.type) &&
      !of.known.has(String(of.values[name])) &&
      !of.known.has(String(of.given[name])),
  )?.[0];
}

/** Label values of the findings of this host: what code of Lares saw there, and no other program said. */
function targetsOf({ root, members }: IncidentFacts, host: string): Set<string> {
  const here = [root, ...members].filter((finding: Finding) => finding.host === host && finding.foreign !== true);
  return new Set(here.flatMap((finding) => Object.values(finding.labels)));
}
