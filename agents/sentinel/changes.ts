import type { Evidence } from '#bus/messages/finding.ts';
import type { CheckContext } from './check.ts';
import { changeScript } from './probes/change-script.ts';
import { changeLines, type HostChange, parseChanges } from './probes/changes.ts';
import { askHost } from './probes/host-answer.ts';
import { oneLine } from './probes/text.ts';

/** A storm of findings of one host asks it once. */
const freshMs = 60_000;
const timeoutMs = 4_500;
/** 400 lines of the journal with their fields, and the rest. */
const maximumOutputBytes = 524_288;
const maximumHosts = 1_000;

/** What the question needs of a look. */
export type OnHost = Pick<CheckContext, 'host' | 'probe' | 'clock' | 'signal'>;

interface Asked {
  at: number;
  changes: Promise<HostChange[]>;
}

/** What changed on the hosts lately, for the evidence of every finding that is about one that can be looked at. */
export class HostChanges {
  readonly #asked = new Map<string, Asked>();

  /**
   * What changed on the host of a check within a day before an onset (epoch ms). Best effort: a host that does not
   * answer, or that nobody may log in to, changed nothing that is known. `signal` is the sentinel's own: one answer
   * serves many findings, so none of them may call it off.
   */
  async before(onset: number, context: OnHost, signal: AbortSignal): Promise<Evidence[]> {
    const { host } = context;
    if (host === undefined || (host.config.via !== 'local' && host.config.read === undefined)) return [];
    const changes = await this.#changesOf(host.name, { ...context, signal });
    const { lines, truncated } = changeLines(changes, onset);
    if (lines.length === 0) return [];
    return [
      {
        kind: 'change',
        title: 'What changed in the 24 hours before',
        lines: lines.map((line) => oneLine(line)),
        truncated,
      },
    ];
  }

  #changesOf(host: string, context: OnHost): Promise<HostChange[]> {
    const now = context.clock.now();
    const known = this.#asked.get(host);
    if (known !== undefined && Math.abs(now - known.at) < freshMs) return known.changes;
    if (this.#asked.size >= maximumHosts) this.#asked.clear();
    const changes = ask(context);
    this.#asked.set(host, { at: now, changes });
    // An aborted question is the end of the sentinel; whoever comes after a restart of it asks anew.
    changes.catch(() => this.#asked.delete(host));
    return changes;
  }
}

async function ask(context: OnHost): Promise<HostChange[]> {
  const answer = await askHost(
    { ...context, timeoutMs: timeoutMs + 500 },
    { script: changeScript, maximumOutputBytes, timeoutMs },
  );
  const { read, act } = context.host?.config ?? {};
  const ours = [read?.user, act?.user].filter((user) => user !== undefined);
  return answer.ok ? parseChanges(answer.sections, ours) : [];
}
