import type { z } from 'zod';
import type { Labels, Severity } from '#bus/fields.ts';
import type { Evidence } from '#bus/messages/finding.ts';
import type { HostConfig } from '#config/schema.ts';
import type { Clock } from '#agents/runtime/clock.ts';
import type { CommandRunner } from '#agents/runtime/command.ts';

/** Where a level begins to count and where it ends: `clear` lies on the good side of `trigger`. */
export interface Threshold {
  trigger: number;
  clear: number;
}

/** What was read. The kind reports; the state machine decides. */
export type Reading =
  | { is: 'state'; ok: boolean; severity: Severity }
  /** `bad: 'above'` when high values are bad. Omitted thresholds never fire. */
  | { is: 'level'; value: number; unit: string; bad: 'above' | 'below'; warning?: Threshold; critical?: Threshold }
  /** It rests as its owner wishes: on-demand, paused, in maintenance. No problem, and never counted as well. */
  | { is: 'asleep'; reason: string }
  /** The thing could not be looked at. Never ok, never a problem of the thing. */
  | { is: 'unknown'; reason: string };

/** One result of one check at one time for one resource. */
export interface Observation {
  /** The alert name: `filesystem-full`, `unit-failed`, `http-down`. Kebab-case, constant per sort of trouble. */
  condition: string;
  /** What of the target: a mount point, a unit, a container, a URL. Untrusted text. */
  resource: string;
  reading: Reading;
  /** One sentence for a person, values included, no trailing period. Untrusted parts are cut, not escaped. */
  summary: string;
  /** While this is bad or unknown nothing else could be looked at: what was found before stays as it is. */
  hidesRest?: boolean;
  /** Labels beside those of the check, for grouping and for a playbook's parameters: `unit`, `container`, `path`. */
  labels?: Labels;
  /** What only `gather` needs and what is another each time, such as the number of a task: no part of what it is. */
  clues?: Labels;
  /** The words of another program: its labels choose no playbook, and no target of one. */
  foreign?: true;
  /** Replaces the default `for` where a sort of trouble has its own; 0 for an event, which fires whatever `for` says. */
  holdMs?: number;
  /** Replaces `keepFiringFor` where a sort of trouble has its own. */
  keepFiringMs?: number;
  /** The alertname, where whoever wrote the rule chose one. Default: the condition. */
  alertname?: string;
}

/** Values that one check keeps between its looks, stored with the sentinel's state. JSON, at most 64 kB together. */
export interface CheckMemory {
  get(key: string): unknown;
  set(key: string, value: unknown): void;
}

/** The last ping of a heartbeat. */
export interface Ping {
  at: number;
  kind: 'success' | 'start' | 'fail';
  /** Of a failed job that told it, 1 to 255. */
  exitStatus?: number;
  /** First 10 kB of the ping's body. */
  body: string;
}

/** The last ping of a heartbeat, with what it says nothing of itself. */
export interface LastPing extends Ping {
  /** When the job last went well, epoch ms: starts and failures since then do not change it. */
  succeededAt?: number;
}

/** How it stands with looking at another check. */
export interface OtherCheck {
  /** End of its last look; undefined before the first one. */
  lookedAt: number | undefined;
  /** Since when the sentinel has had it. */
  since: number;
  intervalMs: number;
  /** How many things it sees. */
  resources: number;
  /** Why its last look, or a part of it, saw nothing. */
  unseen: string | undefined;
}

export interface CheckContext {
  /** The host of the check, when it has one. */
  host: { name: string; config: HostConfig } | undefined;
  /** Read-only commands on that host: this machine, or over SSH with the `read` login. */
  probe: CommandRunner;
  clock: Clock;
  /** What relative paths in the options are relative to. */
  baseFolder: string;
  /** The check's `timeout`. A kind that can tell "silent" from "not looked at" gives up before. */
  timeoutMs: number;
  /** Aborts when the check's time is up or the sentinel stops. */
  signal: AbortSignal;
  /** Aborts when this check is looked with no more: what a kind keeps open between its looks ends then. */
  lasting: AbortSignal;
  /** The first look since the start: people wait for it, so what takes seconds may come with the next one. */
  isFirst?: boolean;
  memory: CheckMemory;
  /** How the looks of the other checks went, for a check that watches checks; undefined for one that is not there. */
  others: (id: string) => OtherCheck | undefined;
  /** The last ping under an id, and when the sentinel first knew of that heartbeat (epoch ms). */
  pings: { last(id: string): LastPing | undefined; knownSince(id: string): number };
}

/**
 * A kind of check. Contract: `observe` returns all resources it can see, each exactly once, and throws only bugs; what
 * cannot be looked at is a reading `unknown`. It writes nothing on the target. A resource that was there and is
 * missing from the result counts as gone, so a failed listing must be `unknown`, not an empty list.
 */
export interface CheckDefinition<O extends z.ZodObject = z.ZodObject> {
  kind: string;
  /** One sentence for the generated reference. */
  about: string;
  /**
   * The kind's own keys in the configuration, each described. One word for one thing in all kinds: limits are
   * `{ warning, critical }` below what they limit, or below `above` and `below` (probes/levels-option.ts); `...AtLeast`,
   * `...AtMost`; `ignore` leaves out, `onDemand` may be off; `slowAfter`, `silentAfter`, `giveUpAfter`, and `quietAfter`
   * for what is told so long; `user`, `password`, `token`, `tlsName`, `timezone`.
   */
  options: O;
  /** `host`: looks on a host and needs one. `network`: looks from here. */
  reach: 'host' | 'network';
  /** It says itself what rests: it looks while the host that it is about is asleep. Default false: then it rests too. */
  knowsSleep?: boolean;
  /** The name a finding goes by when the whole look fails: its resource. */
  resourceOf: (options: z.output<O>) => string;
  observe: (options: z.output<O>, context: CheckContext) => Promise<Observation[]>;
  /**
   * Looks around at the moment of firing. Bounded, best effort; may return nothing. The last values, earlier occurrences
   * and what changed on the host come with every finding: a kind adds what only it knows.
   */
  evidence: {
    /** What it gathers, as the rest of "Evidence: ...", for the generated reference. */
    about: string;
    gather: (options: z.output<O>, context: CheckContext, observation: Observation) => Promise<Evidence[]>;
  };
}

/** For what cannot tell more than its summary. No kind that ships uses it. */
export const noEvidence: CheckDefinition['evidence'] = { about: 'none', gather: () => Promise.resolve([]) };

/** Defines a check kind. The file is named after the kind and exports it as `check`. */
export function defineCheck<O extends z.ZodObject>(definition: CheckDefinition<O>): CheckDefinition<O> {
  return definition;
}
