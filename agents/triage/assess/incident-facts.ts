import type { Finding } from '#bus/messages/finding.ts';
import type { Incident } from '#bus/messages/incident.ts';
import type { Candidate } from '#playbooks/playbook.ts';

/** What code knows of an incident: all that an assessment may be made of. */
export interface IncidentFacts {
  incident: Incident;
  root: Finding;
  /** The other findings of the incident, with or without the root. */
  members: Finding[];
  /** Playbooks that could answer the root finding. */
  candidates: Candidate[];
  /** Names of the hosts that the configuration knows. */
  inventory: string[];
}
