import { candidatesFor } from '#agents/triage/assess/candidates.ts';
import type { IncidentFacts } from '#agents/triage/assess/incident-facts.ts';
import { fingerprintOf } from '#bus/fingerprint.ts';
import type { Finding } from '#bus/messages/finding.ts';
import type { Catalogue } from '#playbooks/playbook.ts';

const at = '2026-11-20T03:00:00.000Z';

/** A firing finding about a unit of the host `web`, with what a test changes. */
export function findingOf(changes: Partial<Finding> = {}): Finding {
  const labels = changes.labels ?? { alertname: 'unit-failed', host: 'web', unit: 'shop.service' };
  return {
    fingerprint: fingerprintOf(labels),
    occurrence: 'one',
    status: 'firing',
    condition: 'problem',
    severity: 'critical',
    check: 'web-units',
    kind: 'systemd-unit',
    host: 'web',
    resource: 'shop.service',
    summary: 'shop.service failed',
    startsAt: at,
    updatedAt: at,
    evidence: [
      {
        kind: 'log',
        title: 'Journal of shop.service',
        lines: ['shop.service: Main process exited, code=exited, status=1/FAILURE'],
        truncated: 0,
      },
    ],
    ...changes,
    labels,
  };
}

/** An incident with this root and these symptoms; the playbooks are those that the catalogue finds. */
export function factsOf(root: Finding, given: { members?: Finding[]; catalogue?: Catalogue } = {}): IncidentFacts {
  const members = given.members ?? [];
  return {
    incident: {
      id: 'incident-1',
      state: 'open',
      severity: root.severity,
      title: root.summary,
      root: root.fingerprint,
      members: [],
      startsAt: at,
      updatedAt: at,
    },
    root,
    members,
    candidates: given.catalogue === undefined ? [] : candidatesFor(root, given.catalogue),
    inventory: ['web', 'db'],
  };
}
