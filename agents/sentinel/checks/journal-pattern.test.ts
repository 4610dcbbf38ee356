import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { parseEntries } from '#agents/sentinel/probes/journal.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { FakeCommands } from '../../../test/parts/fake-commands.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './journal-pattern.ts';

kindContract(check, () => ({ pattern: 'error' }));

const startMs = Date.parse('2026-11-20T12:00:00Z');

function entry(message: unknown, of: { n: number; at?: number }): string {
  return JSON.stringify({
    __CURSOR: `s=0f;i=${of.n.toString(16)};b=1a;m=1;t=1;x=1`,
    __REALTIME_TIMESTAMP: String((of.at ?? startMs) * 1_000),
    MESSAGE: message,
    SYSLOG_IDENTIFIER: 'nomos',
    _PID: '7',
    PRIORITY: '3',
  });
}

/** A journal behind a `journalctl` that knows `--cursor`, as far as it matters here. */
class Journal implements Disposable {
  readonly fakes = new FakeCommands();
  readonly #context = checkContext({ probe: this.fakes.probe });
  hint = '';
  now = startMs;

  async look(lines: readonly string[], options: object = {}): Promise<Observation[]> {
    const path = join(this.fakes.folder, 'journal');
    writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
    this.fakes.set(
      'journalctl',
      `for a; do case $a in --cursor=*) cursor=\${a#*=} ;; -n) count=1 ;; esac; done
[ "$*" = '--no-pager -n 0' ] && { echo '${this.hint}' >&2; exit 0; }
[ -n "$cursor" ] && { awk -v c="$cursor" 'index($0, "\\"" c "\\"") { found = 1 } found { print }' '${path}'; exit 0; }
[ -n "$count" ] && { tail -n 1 '${path}'; exit 0; }
cat '${path}'`,
    );
    const clock = { ...this.#context.clock, now: () => this.now };
    return await check.observe(check.options.parse({ pattern: 'out of memory', ...options }), {
      ...this.#context,
      clock,
    });
  }

  [Symbol.dispose](): void {
    this.fakes[Symbol.dispose]();
  }
}

describe('the journal', () => {
  test('each line counts once, also with the same memory later, and no longer than the time of the window', async () => {
    using journal = new Journal();
    const lines = [entry('all well', { n: 1 }), entry('gate: out of memory', { n: 2 })];
    expect(problems(await journal.look(lines))).toEqual([
      'warning log-lines: 1 line of journal within 10m matched, the last: gate: out of memory',
    ]);
    journal.now += 60_000;
    expect((await journal.look(lines))[0]?.reading).toMatchObject({ value: 1 });
    lines.push(entry('again out of memory', { n: 3, at: journal.now }));
    expect((await journal.look(lines))[0]?.reading).toMatchObject({ value: 2 });
    journal.now += 20 * 60_000;
    expect(problems(await journal.look(lines))).toEqual([]);
  });

  test('limits', async () => {
    using journal = new Journal();
    const lines = [1, 2, 3].map((n) => entry('out of memory', { n }));
    expect(problems(await journal.look(lines, { lines: { warning: 4 } }))).toEqual([]);
    using other = new Journal();
    expect(problems(await other.look(lines, { lines: { warning: 2, critical: 3 } })).join()).toMatch(
      /^critical log-lines: 3 lines/,
    );
  });

  test('a message that is no UTF-8 comes as bytes and is searched all the same', async () => {
    using journal = new Journal();
    const bytes = [...Buffer.from('\u00ff out of memory', 'latin1')];
    expect(problems(await journal.look([entry(bytes, { n: 1 })]))).toHaveLength(1);
    expect(parseEntries(entry(null, { n: 1 }))[0]?.text).toBe('(no text)');
  });

  test('a line that has to come is missed after its time, counted from the first look', async () => {
    using journal = new Journal();
    const options = { pattern: 'backup finished', silentAfter: '26h' };
    expect(problems(await journal.look([], options))).toEqual([]);
    journal.now += 27 * 3_600_000;
    expect(problems(await journal.look([], options)).join()).toMatch(/^critical log-line-missing: no line of journal/);
    const lines = [entry('backup finished', { n: 1, at: journal.now })];
    expect(problems(await journal.look(lines, options))).toEqual([]);
    journal.now += 27 * 3_600_000;
    expect(problems(await journal.look(lines, options)).join()).toContain('came 1d3h ago (wanted every 1d2h)');
  });

  test('a login that may not read the journal is no silence', async () => {
    using journal = new Journal();
    journal.hint = 'Hint: You are currently not seeing messages from other users and the system.';
    expect(problems(await journal.look([]))).toEqual([expect.stringContaining('group systemd-journal')]);
  });

  test('a host that keeps no journal is no silence', async () => {
    using journal = new Journal();
    journal.hint = 'No journal files were found.';
    expect(problems(await journal.look([]))).toEqual([expect.stringContaining('this host keeps no journal')]);
  });

  test('an expression that takes too long is unknown', async () => {
    using journal = new Journal();
    const found = await journal.look([entry(`${'a'.repeat(40)}!`, { n: 1 })], { pattern: '^(a+)+$' });
    expect(problems(found)).toEqual([expect.stringContaining('takes too long')]);
  });
});

describe('a log file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lares-log-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function watcher(path: string) {
    const context = checkContext();
    const options = check.options.parse({ pattern: 'ERROR', file: path });
    return async (): Promise<number> => {
      const [found] = await check.observe(options, context);
      if (found?.reading.is !== 'level') throw new Error(found?.summary);
      return found.reading.value;
    };
  }

  test('lines count once from the first look on, whole ones only, over rotation and truncation', async () => {
    const path = join(folder, 'app.log');
    writeFileSync(path, 'ERROR before anybody looked\n');
    const count = watcher(path);
    expect(await count()).toBe(0);
    appendFileSync(path, 'ERROR one\n@@end read 0\nERR');
    expect(await count()).toBe(1);
    appendFileSync(path, 'OR two\n');
    expect(await count()).toBe(2);
    appendFileSync(path, 'ERROR three, just before the rotation\n');
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'ERROR four\n');
    expect(await count()).toBe(4);
    expect(await count()).toBe(4);
    truncateSync(path);
    await count();
    appendFileSync(path, 'ERROR five\n');
    expect(await count()).toBe(5);
  });

  test('one that is not there is unknown', async () => {
    await expect(watcher(join(folder, 'nothing.log'))()).rejects.toThrow('No such file');
  });
});
