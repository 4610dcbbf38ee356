import { z } from 'zod';
import { commandLineOf } from './shell.ts';

/** What the worker answers to "signers": the ids of the keys that it believes, and where it looks for those of others. */
const Signers = z.object({
  keys: z.array(z.string()),
  files: z.object({ triage: z.string().max(4_096), console: z.string().max(4_096) }),
});

/** A key of ours: `file` is its public half. */
interface OwnKey {
  name: 'triage' | 'console';
  keyId: string;
  file: string;
}

interface Distrust {
  text: string;
  mend: string;
}

/** What is wrong and the command that mends it, when the worker does not know a key of ours; undefined when it does. */
export function distrustIn(answer: unknown, { name, keyId, file }: OwnKey): Distrust | undefined {
  const parsed = Signers.safeParse(answer);
  if (!parsed.success || parsed.data.keys.includes(keyId)) return undefined;
  return {
    text: `the worker does not know the key of ${name}, so no approval from there counts`,
    mend: commandLineOf(['scp', file, `WORKER:${parsed.data.files[name]}`]),
  };
}

/** In two lines: the second is the command, to be run on the machine of that key with the worker's name in it. */
export function distrustText({ text, mend }: Distrust): string {
  return `${text}; run there, with the worker's name for WORKER:\n${mend}`;
}
