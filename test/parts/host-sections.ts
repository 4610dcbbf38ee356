import type { Observation } from '#agents/sentinel/check.ts';

/** What a host's script prints: each part between its marks. */
export function sectionsText(parts: Record<string, string | { text: string; code: number }>): string {
  return Object.entries(parts)
    .map(([name, part]) => {
      const { text, code } = typeof part === 'string' ? { text: part, code: 0 } : part;
      return `\n@@${name}\n${text}\n\n@@end ${name} ${code}\n`;
    })
    .join('');
}

/** Everything that is not well, one line each: severity, condition, resource and the sentence. */
export function problemsOf(observations: readonly Observation[]): string[] {
  return observations.flatMap(({ condition, resource, reading, summary }) => {
    switch (reading.is) {
      case 'unknown':
        return [`unknown ${condition} ${resource}: ${reading.reason}`];
      case 'asleep':
        return [`asleep ${condition} ${resource}`];
      case 'state':
        return reading.ok ? [] : [`${reading.severity} ${condition} ${resource}: ${summary}`];
      case 'level': {
        const isBeyond = (trigger: number | undefined): boolean =>
          trigger !== undefined && (reading.bad === 'above' ? reading.value >= trigger : reading.value <= trigger);
        if (isBeyond(reading.critical?.trigger)) return [`critical level ${condition} ${resource}`];
        return isBeyond(reading.warning?.trigger) ? [`level ${condition} ${resource}`] : [];
      }
    }
  });
}
