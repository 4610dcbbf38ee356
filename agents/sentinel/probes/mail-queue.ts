import { jsonOf, oneLine } from './text.ts';

/**
 * `postqueue -j` prints one JSON object per mail (NDJSON). awk counts all of them, so that a queue of 100,000 mails costs a
 * line, and passes on the first ones for their reasons. `postqueue` lies in /usr/sbin, which is not on the path of an
 * ordinary user's SSH session. A second instance is named by its configuration folder, `$1`.
 */
export const mailQueueScript = String.raw`
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin"
folder=$1
part() { name=$1; shift; echo; echo "@@$name"; "$@"; code=$?; echo; echo "@@end $name $code"; }
if ! command -v postqueue >/dev/null 2>&1; then part missing true; exit 0; fi
ask() { timeout -k 1 8 postqueue ${'$'}{folder:+-c "$folder"} -j 2>&1; echo "@status $?"; }
queue() {
  ask | awk '
    /^\{"queue_name": "/ {
      split($0, piece, "\""); kind = piece[4]; count[kind]++
      if (match($0, /"arrival_time": *[0-9]+/)) {
        arrival = substr($0, RSTART, RLENGTH); sub(/.*: */, "", arrival); arrival += 0
        if (!(kind in oldest) || arrival < oldest[kind]) oldest[kind] = arrival
      }
      if (kind != "active" && shown < 400) { shown++; print substr($0, 1, 2000) }
      next
    }
    { print substr($0, 1, 400) }
    END { for (kind in count) print "@count " kind " " count[kind] " " (oldest[kind] + 0) }'
}
part now date +%s
part queue queue
exit 0
`;

/** The last lines about mail that was not delivered, and what the queue manager says. */
export const mailLogScript = String.raw`
export LC_ALL=C
part() { name=$1; shift; echo; echo "@@$name"; "$@" 2>/dev/null; echo; echo "@@end $name 0"; }
telling='status=(deferred|bounced)|fatal|panic|error|warning|authentication failed|refused|timed out'
lines() { tail -n 2000 "$1" | grep -E 'postfix' | grep -E "$telling" | tail -n 25; }
journal() { journalctl --no-pager --quiet -n 400 -o short-iso -t postfix/smtp -t postfix/qmgr -t postfix/error -t postfix/master -t postfix/smtpd | grep -E "$telling" | tail -n 25; }
for log in /var/log/mail.log /var/log/maillog; do
  if [ -r "$log" ]; then part log lines "$log"; exit 0; fi
done
part log journal
exit 0
`;

/** One queue of Postfix. `oldest` is epoch s. */
interface QueueCount {
  mails: number;
  oldest: number;
}

export interface MailQueue {
  /** By name: deferred, active, hold, incoming, maildrop. */
  counts: ReadonlyMap<string, QueueCount>;
  /** Why mails wait and how many of those that were read, most first. */
  reasons: { reason: string; mails: number }[];
  /** Exit status of `postqueue`. */
  status: number;
  /** What it said beside the queue. */
  messages: string[];
}

const maximumReasons = 20;

/** Reads what the script printed. Undefined when it did not come to its end. */
export function parseMailQueue(text: string): MailQueue | undefined {
  const counts = new Map<string, QueueCount>();
  const reasons = new Map<string, number>();
  const messages: string[] = [];
  let status: number | undefined;
  for (const line of text.split('\n')) {
    const count = /^@count ([a-z]+) (\d+) (\d+)$/.exec(line);
    const ended = /^@status (\d+)$/.exec(line)?.[1];
    if (count !== null) counts.set(count[1] ?? '', { mails: Number(count[2]), oldest: Number(count[3]) });
    else if (ended !== undefined) status = Number(ended);
    else if (line.startsWith('{'))
      for (const reason of reasonsOf(line)) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    else if (line.trim() !== '') messages.push(oneLine(line, 200));
  }
  if (status === undefined) return undefined;
  const sorted = [...reasons].map(([reason, mails]) => ({ reason, mails })).toSorted((a, b) => b.mails - a.mails);
  return { counts, reasons: sorted.slice(0, maximumReasons), status, messages: messages.slice(0, 5) };
}

/** The reasons of one mail, each once. A line that was cut is no JSON and has none. */
function reasonsOf(line: string): string[] {
  const mail = jsonOf(line);
  if (mail === null || typeof mail !== 'object' || !('recipients' in mail) || !Array.isArray(mail.recipients))
    return [];
  const reasons = mail.recipients.slice(0, 50).flatMap((recipient: unknown) => {
    const isObject = recipient !== null && typeof recipient === 'object' && 'delay_reason' in recipient;
    return isObject && typeof recipient.delay_reason === 'string' ? [sortOfReason(recipient.delay_reason)] : [];
  });
  return [...new Set(reasons)];
}

/** A reason without what differs from mail to mail: addresses of people, queue ids, host addresses and long numbers. */
export function sortOfReason(reason: string): string {
  return oneLine(reason, 300)
    .replaceAll(/<[^<>@\s]{1,100}@[^<>\s]{1,200}>/g, '<address>')
    .replaceAll(/\[[0-9a-fA-F.:]+\]/g, '')
    .replaceAll(/\b[0-9A-F]{9,}\b|\b\d{7,}\b/g, 'N')
    .slice(0, 160)
    .toWellFormed();
}

/** The relay does not take our login: nothing leaves until a person renews it. */
export function isLoginRefusal(reason: string): boolean {
  return /SASL authentication fail|authentication (?:failed|failure|credentials invalid|required)|\b5\.7\.8\b|\b535[ -]|no mechanism available|cannot authenticate/i.test(
    reason,
  );
}
