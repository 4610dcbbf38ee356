import type { Finding } from '#bus/messages/finding.ts';

/** A line of evidence that gives a cause away. */
interface Telltale {
  /** Sorts of trouble that it explains: matched against the alert name. */
  of: RegExp;
  line: RegExp;
  /** The cause in words; `thing` is what of the host is sick. No model has a part in it. */
  cause: (match: RegExpMatchArray, thing: string) => string;
  confidence: number;
  /** Playbook that fits this cause best, when several could. */
  prefers?: string;
  /** Doing it over cannot help: a person has to change something first. */
  isHopeless?: true;
}

const units = /unit|service|systemd|http|port|tcp/i;
const containers = /container|docker|http|port|tcp/i;
const running = /unit|service|systemd|container|docker|http|port|tcp/i;
const storage = /filesystem|disk|inode|volume|storage|space/i;

/** What exit statuses say, systemd.exec(5) and the shell's own. */
const exitStatuses: Record<string, string> = {
  '1': 'a general error of the program',
  '2': 'a wrong argument or configuration',
  '126': 'the program cannot be executed',
  '127': 'the program was not found',
  '137': 'killed (SIGKILL), often for lack of memory',
  '139': 'crashed (segmentation fault)',
  '143': 'stopped from outside (SIGTERM)',
  '200': 'its working directory cannot be entered',
  '203': 'its program is missing or cannot be executed',
  '216': 'its group does not exist',
  '217': 'its user does not exist',
  '226': 'its sandbox (namespaces, mounts) cannot be set up',
};

function status(code: string): string {
  const meaning = exitStatuses[code];
  return meaning === undefined ? `exit status ${code}` : `exit status ${code}: ${meaning}`;
}

/** Ordered: the first that matches any line is the cause, so the particular stands before the general. */
export const telltales: readonly Telltale[] = [
  {
    of: running,
    line: /oom-kill|out of memory|OOMKilled["':= ]+true|Result=oom-kill|killed process \d+/i,
    cause: (_match, thing) => `${thing} was killed because memory ran out`,
    confidence: 0.9,
  },
  {
    of: running,
    line: /no space left on device|ENOSPC|disk quota exceeded/i,
    cause: (_match, thing) => `${thing} cannot work because a disk is full`,
    confidence: 0.9,
    isHopeless: true,
  },
  {
    of: running,
    line: /address already in use|EADDRINUSE|port is already allocated/i,
    cause: (_match, thing) => `${thing} cannot start because another program has its port`,
    confidence: 0.9,
    isHopeless: true,
  },
  {
    of: running,
    line: /\[emerg\]|configuration file .{1,200} test failed|(?:config|configuration|syntax) error|unknown directive|invalid (?:configuration|option|argument)|error parsing|yaml: /i,
    cause: (_match, thing) => `${thing} refuses its configuration`,
    confidence: 0.85,
    isHopeless: true,
  },
  {
    of: units,
    line: /status=(20[03]|21[67]|226)\b|ExecMainStatus=(20[03]|21[67]|226)\b/,
    cause: (match, thing) => `${thing} cannot start: ${exitStatuses[match[1] ?? match[2] ?? ''] ?? 'its setup fails'}`,
    confidence: 0.9,
    isHopeless: true,
  },
  {
    of: running,
    line: /read-only file ?system/i,
    cause: (_match, thing) => `${thing} cannot write: its filesystem is read-only`,
    confidence: 0.85,
    isHopeless: true,
  },
  {
    of: running,
    line: /(?:certificate has expired|certificate expired|x509: certificate)/i,
    cause: (_match, thing) => `${thing} fails at a certificate that is expired or not trusted`,
    confidence: 0.75,
  },
  {
    of: running,
    line: /permission denied|EACCES|operation not permitted/i,
    cause: (_match, thing) => `${thing} lacks a permission`,
    confidence: 0.65,
  },
  {
    of: running,
    line: /(?:could not connect to|connection to|connect to) .{1,80}(?:refused|failed)|ECONNREFUSED|no route to host|could not translate host name|EAI_AGAIN|Name or service not known/i,
    cause: (_match, thing) => `something that ${thing} needs does not answer`,
    confidence: 0.6,
  },
  {
    of: units,
    line: /Result=watchdog|watchdog timeout/i,
    cause: (_match, thing) => `${thing} hung and systemd's watchdog ended it`,
    confidence: 0.85,
  },
  {
    of: units,
    line: /Result=timeout|(?:start|stop) operation timed out/i,
    cause: (_match, thing) => `${thing} did not start or stop in time`,
    confidence: 0.8,
  },
  {
    of: running,
    line: /core-dump|code=dumped|SIGSEGV|segfault|panic: |Traceback \(most recent call last\)|Unhandled exception/i,
    cause: (_match, thing) => `${thing} crashed: an error of the program itself`,
    confidence: 0.75,
  },
  {
    of: units,
    line: /start request repeated too quickly|start-limit-hit/i,
    cause: (_match, thing) => `${thing} failed so often in a row that systemd gave up starting it`,
    confidence: 0.7,
    prefers: 'reset-and-start-unit',
  },
  {
    of: units,
    line: /code=killed, status=\d+\/([A-Z]+)|Result=signal/,
    cause: (match, thing) => `${thing} was killed${match[1] === undefined ? ' by a signal' : ` by SIG${match[1]}`}`,
    confidence: 0.7,
    prefers: 'restart-systemd-unit',
  },
  {
    of: units,
    line: /(?:code=exited, status=|ExecMainStatus=|exit(?:ed with)? (?:status|code)[ :=]+)([1-9]\d{0,2})/i,
    cause: (match, thing) => `${thing} ended by itself with ${status(match[1] ?? '')}`,
    confidence: 0.6,
    prefers: 'restart-systemd-unit',
  },
  {
    of: containers,
    line: /(?:exit ?code|exited)["':= (]+([1-9]\d{0,2})/i,
    cause: (match, thing) => `${thing} ended with ${status(match[1] ?? '')}`,
    confidence: 0.6,
  },
  {
    of: containers,
    line: /unhealthy|health ?check.{0,40}fail/i,
    cause: (_match, thing) => `${thing} runs, but its own health check fails`,
    confidence: 0.6,
  },
  {
    of: storage,
    line: /(?:I\/O error|blk_update_request|medium error|remounting filesystem read-only|EXT4-fs error|BTRFS error)/i,
    cause: (_match, thing) => `the disk under ${thing} reports errors`,
    confidence: 0.85,
    isHopeless: true,
  },
];

/** The first cause that the evidence gives away, and the line that does. */
export function telltaleIn(finding: Finding): { telltale: Telltale; cause: string; line: string } | undefined {
  const name = finding.labels['alertname'] ?? finding.kind;
  // What was before and what was changed are circumstances, not the fault's own words.
  const pieces = finding.evidence.filter(({ kind }) => kind !== 'history' && kind !== 'change');
  const lines = [finding.summary, ...pieces.flatMap((piece) => piece.lines)];
  for (const telltale of telltales) {
    if (!telltale.of.test(name)) continue;
    for (const line of lines) {
      const match = telltale.line.exec(line);
      if (match !== null) return { telltale, cause: telltale.cause(match, thingOf(finding)), line };
    }
  }
  return undefined;
}

/** What is sick, as a person names it. */
export function thingOf(finding: Finding): string {
  const { unit, container, path } = finding.labels;
  const thing = unit ?? (container === undefined ? (path ?? finding.resource) : `container ${container}`);
  return (thing === '' ? finding.kind : thing).slice(0, 200);
}
