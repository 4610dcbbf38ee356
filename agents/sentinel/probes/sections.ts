/** One part of a script's output. */
export interface Section {
  text: string;
  /** Exit status of the command behind it. */
  code: number;
}

const start = /^@@([a-z-]+)$/;
const end = /^@@end ([a-z-]+) (\d+)$/;

/**
 * Splits what one script printed for many parts: `@@name`, lines, `@@end name <exit status>`. A part that was not
 * reached or did not end is absent. Text before, between and after is ignored, as login banners are. A line of a part
 * that looks like another part's start cannot open one: only the end of the open part closes it.
 */
export function splitSections(output: string): Map<string, Section> {
  const sections = new Map<string, Section>();
  let open: { name: string; lines: string[] } | undefined;
  for (const line of output.split('\n')) {
    if (open === undefined) {
      const name = start.exec(line)?.[1];
      if (name !== undefined) open = { name, lines: [] };
      continue;
    }
    const closing = end.exec(line);
    if (closing?.[1] !== open.name) open.lines.push(line);
    else {
      sections.set(open.name, { text: open.lines.join('\n'), code: Number(closing[2]) });
      open = undefined;
    }
  }
  return sections;
}
