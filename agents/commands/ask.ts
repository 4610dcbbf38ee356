import { createInterface } from 'node:readline/promises';

/** What the person at this terminal answers; undefined when they leave with Ctrl-C or Ctrl-D instead. */
export async function askPerson(question: string, signal: AbortSignal): Promise<string | undefined> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return await terminal.question(question, { signal });
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'AbortError') throw error;
    process.stdout.write('\n');
    return undefined;
  } finally {
    terminal.close();
  }
}
