/** What a host's script prints: each part between its marks. */
export function sectionsText(parts: Record<string, string | { text: string; code: number }>): string {
  return Object.entries(parts)
    .map(([name, part]) => {
      const { text, code } = typeof part === 'string' ? { text: part, code: 0 } : part;
      return `\n@@${name}\n${text}\n\n@@end ${name} ${code}\n`;
    })
    .join('');
}
