import type { Finding } from '#bus/messages/finding.ts';
import type { Candidate, Catalogue } from '#playbooks/playbook.ts';

/** Playbooks that could answer a finding. Whoever may post an alert must not choose what is proposed, nor on what. */
export function candidatesFor(finding: Finding, catalogue: Catalogue): Candidate[] {
  return finding.foreign === true ? [] : catalogue.candidates(finding.labels);
}
