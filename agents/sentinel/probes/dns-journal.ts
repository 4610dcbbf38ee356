import type { Evidence } from '#bus/messages/finding.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { readCommand } from './command-reading.ts';
import { parseJournal } from './journal.ts';
import { evidenceOf } from './text.ts';

const timeoutMs = 5_000;

/** Name servers as distributions call their units; those that are not there match nothing. */
const units = ['named', 'bind9', 'unbound', 'nsd', 'knot', 'pdns', 'pdns-recursor', 'dns', 'dnsmasq', 'pihole-FTL'];
const argv = [
  'journalctl',
  '--no-pager',
  '--quiet',
  '-o',
  'json',
  '-n',
  '200',
  ...units.flatMap((unit) => ['-u', unit]),
];

const telling =
  /transfer|xfer|notify|refus|denied|fail|error|serial|expired|not loaded|timed out|out of date|SERVFAIL/i;

/** What the name server of the check's host says about transfers and errors; nothing where it cannot be read. */
export async function resolverJournal(context: CheckContext): Promise<Evidence[]> {
  if (context.host === undefined) return [];
  const end = await context.probe.run(argv, { timeoutMs, signal: context.signal, maximumOutputBytes: 524_288 });
  const answer = readCommand(end);
  if (!answer.ok) return [];
  const lines = parseJournal(answer.text).filter((line) => telling.test(line));
  return evidenceOf('log', `Name server on ${context.host.name}`, lines);
}
