import type { Severity } from '#bus/fields.ts';

/** The words that alerts carry, in lower case. `none` is said of alerts that only show that alerting works. */
const usual = new Map<string, Severity | 'none'>([
  ...each(
    'critical',
    'critical crit page pager error err emergency emerg fatal disaster alert high urgent major p1 sev1 1',
  ),
  ...each('warning', 'warning warn medium moderate minor average p2 sev2 p3 sev3 unknown ticket'),
  ...each('info', 'info information informational notice low debug ok p4 p5 sev4 sev5'),
  ...each('none', 'none'),
]);

function each(severity: Severity | 'none', words: string): [string, Severity | 'none'][] {
  return words.split(' ').map((word) => [word, severity]);
}

/** How bad a sender's word is: as configured, else as usual, else a warning. */
export function severityFrom(
  word: string | undefined,
  configured: ReadonlyMap<string, Severity> = new Map(),
): Severity | 'none' {
  const plain = (word ?? '').trim().toLowerCase();
  return configured.get(plain) ?? usual.get(plain) ?? 'warning';
}
