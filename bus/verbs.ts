import type { AgentName } from './message.ts';

/**
 * Who answers which question. A topic names only the verb, so without this any agent could answer for any other: the
 * one that reads hostile text could tell the command line who has paired.
 */
const servers: Readonly<Record<string, AgentName>> = {
  check: 'sentinel',
  findings: 'sentinel',
  intakes: 'sentinel',
  resolve: 'sentinel',
  status: 'sentinel',
  acknowledge: 'triage',
  digest: 'triage',
  incident: 'triage',
  incidents: 'triage',
  pair: 'triage',
  paired: 'triage',
  snooze: 'triage',
  'dry-run': 'remediation',
  plans: 'remediation',
  release: 'remediation',
  runs: 'remediation',
  signers: 'remediation',
  thaw: 'remediation',
  unblock: 'remediation',
};

/** Whether an agent is the one that answers a verb. */
export function serves(agent: AgentName, verb: string): boolean {
  return Object.hasOwn(servers, verb) && servers[verb] === agent;
}

/** The verbs that an agent answers, sorted. */
export function verbsOf(agent: AgentName): string[] {
  return Object.keys(servers)
    .filter((verb) => servers[verb] === agent)
    .toSorted();
}
