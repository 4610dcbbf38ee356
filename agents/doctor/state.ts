import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '#bus/failure.ts';
import { bindLoaded } from '../commands/checks-of.ts';
import type { CommandContext } from '../commands/command.ts';
import { counted } from '../sentinel/probes/text.ts';
import { holdsOthers, stateFolders } from '../state-folder.ts';
import type { Finding } from './finding.ts';

const leastFreeBytes = 100_000_000;

export async function* examineState(context: CommandContext): AsyncGenerator<Finding> {
  yield { subject: 'node', ok: true, text: `${process.version} at ${process.execPath}` };
  const checks = await bindLoaded(context.loaded);
  const { file, config } = context.loaded;
  yield {
    subject: 'configuration',
    ok: true,
    text: `${file ?? 'none: built-in defaults'}; ${counted(Object.keys(config.hosts).length, 'host')}, ${counted(checks.length, 'check')}`,
  };
  yield examineFolder(stateFolders(context.loaded).root);
}

export function examineFolder(root: string): Finding {
  const subject = 'state folder';
  const place = existsSync(root) ? root : dirname(root);
  try {
    accessSync(place, constants.W_OK);
  } catch (error) {
    return {
      subject,
      ok: false,
      text: messageOf(error),
      mend: `make "${place}" writable for this user, or set "state"`,
    };
  }
  if (existsSync(root) && (statSync(root).mode & 0o077) !== 0) {
    const mend = holdsOthers(root)
      ? 'set "state" to a folder of its own: this one holds other things'
      : `chmod 700 ${root}`;
    return { subject, ok: false, text: `${root} is open to other users; keys live there`, mend };
  }
  const { bavail, bsize, blocks } = statfsSync(place);
  if (blocks === 0) return { subject, ok: false, text: `nothing can be kept below ${place}`, mend: 'set "state"' };
  const free = bavail * bsize;
  const text = `${root}, ${Math.round(free / 1_000_000)} MB free`;
  if (free >= leastFreeBytes) return { subject, ok: true, text };
  return { subject, ok: false, text, mend: 'free some space: Lares stops writing loudly when the disk is full' };
}
