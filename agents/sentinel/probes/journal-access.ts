import { partFailure } from './host-answer.ts';
import type { Section } from './sections.ts';

/** Who may not read the journal of the system gets an empty one, status 0 and a hint on standard error. */
export const journalAccess = String.raw`
access() { limit 8 journalctl --no-pager -n 0 2>&1 >/dev/null; }
`;

/** Why what this login reads from the journal of the host says nothing; undefined when it may read it. */
export function journalFault(access: Section | undefined): string | undefined {
  if (access === undefined || access.code !== 0) return partFailure(access, '"journalctl"');
  if (/No journal files were found/i.test(access.text)) return 'this host keeps no journal';
  return /not seeing messages|insufficient permissions|No journal files were opened/i.test(access.text)
    ? 'the read login may not read the journal: add it to the group systemd-journal'
    : undefined;
}
