import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { parseFuzzers, signalOf } from '#agents/sentinel/probes/afl.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { Folder } from '../../../test/parts/command.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './afl.ts';

kindContract(check, () => ({ output: '/srv/raptor/out/fuzzing' }));

let folder: Folder;
beforeEach(() => void (folder = new Folder()));
afterEach(() => folder[Symbol.dispose]());

const observe = (options: object = {}): Promise<Observation[]> =>
  check.observe(check.options.parse({ output: join(folder.path, 'out'), ...options }), checkContext());

/** What afl-fuzz 4.04c writes. */
function fuzzer(name: string, of: { crashes?: string[]; hangs?: string[]; updatedSecondsAgo?: number }): string {
  const path = join(folder.path, 'out', name);
  for (const sort of ['crashes', 'hangs'] as const) {
    mkdirSync(join(path, sort), { recursive: true });
    writeFileSync(join(path, sort, 'README.txt'), 'Command line used to find this crash');
    for (const file of of[sort] ?? []) writeFileSync(join(path, sort, file), 'b');
  }
  const at = Math.floor(Date.now() / 1_000) - (of.updatedSecondsAgo ?? 0);
  const stats = `start_time        : 1795221652\nlast_update       : ${at}\nexecs_per_sec     : 2427.15\nafl_banner        : ./parser $(id)\n`;
  writeFileSync(join(path, 'fuzzer_stats'), stats);
  return path;
}

describe('fuzzers', () => {
  test('that find nothing and run are well', async () => {
    const path = fuzzer('main', {});
    fuzzer('secondary1', {});
    const found = await observe();
    expect(words(found).filter((text) => !text.endsWith(' ok'))).toEqual([]);
    expect(found[0]?.summary).toContain('looked at 2 fuzzers');
    expect(found[3]?.summary).toBe(`${path} runs with 2427 executions a second`);
  });

  test('tell crashes and hangs once each, by number, time and signal, until they are old or gone', async () => {
    const path = fuzzer('default', {
      crashes: ['id:000000,sig:06,src:000000,op:havoc', 'id:000001,sig:11,src:000000,op:havoc'],
      hangs: ['id:000000,src:000000'],
    });
    utimesSync(join(path, 'crashes/id:000000,sig:06,src:000000,op:havoc'), 1_700_000_000, 1_700_000_000);
    const found = await observe();
    expect(words(found)).toEqual([
      expect.stringContaining('fuzzer-silent'),
      `fuzzer-crash ${path} warning`,
      `fuzzer-hang ${path} info`,
      `fuzzer-silent ${path} ok`,
    ]);
    expect(found[1]?.summary).toMatch(
      /^AFL\+\+ saved 2 crashing inputs of \.\/parser \$\(id\) \(.*\), the last at .* by SIGSEGV$/,
    );
    const [, crash] = found;
    const options = check.options.parse({ output: join(folder.path, 'out') });
    const evidence = crash === undefined ? [] : await check.evidence.gather(options, checkContext(), crash);
    expect(evidence[0]?.lines.at(-1)).toContain('id:000001,sig:11');

    utimesSync(join(path, 'crashes/id:000001,sig:11,src:000000,op:havoc'), 1_700_000_000, 1_700_000_000);
    expect(words(await observe())).toContain(`fuzzer-crash ${path} ok`);
    expect(words(await observe({ quietAfter: '0s' }))).toContain(`fuzzer-crash ${path} warning`);
    rmSync(join(path, 'crashes'), { recursive: true });
    expect((await observe({ quietAfter: '0s' }))[1]?.summary).toContain('saved 0 crashing inputs');
  });

  test('that ended rest, unless they have to run', async () => {
    const path = fuzzer('default', { updatedSecondsAgo: 7_200 });
    expect(words(await observe())).toContain(`fuzzer-silent ${path} asleep`);
    expect(words(await observe({ mustRun: true }))).toContain(`fuzzer-silent ${path} warning`);
  });

  test('of many runs are found by a pattern; a folder that is not there is unknown', async () => {
    fuzzer('run 1/fuzz/default', {});
    fuzzer('run 2/fuzz', {});
    const found = await observe({ output: join(folder.path, 'out/*/fuzz') });
    expect(found[0]?.summary).toContain('looked at 2 fuzzers');
    expect(words(await observe({ output: join(folder.path, 'nowhere') }))).toEqual([
      expect.stringMatching(/^fuzzer-silent .*nowhere unknown$/),
    ]);
  });

  test('a folder without a fuzzer is not well: it may be the wrong one', async () => {
    const empty = { output: folder.path };
    expect(words(await observe(empty))).toEqual([expect.stringMatching(/ unknown$/)]);
    expect(words(await observe({ ...empty, mustRun: true }))).toEqual([expect.stringMatching(/ warning$/)]);
  });

  test('lines of strangers move nothing to another fuzzer', () => {
    const { fuzzers } = parseFuzzers([
      'fuzzer 1 /a',
      'crash 2 5 id:1',
      'crash 1 x id:2',
      'fuzzer 3 relative',
      'crashs 1 many',
      'stat 1 last_update : x',
    ]);
    expect(fuzzers).toMatchObject([{ path: '/a', updatedAt: 0, crashes: { count: 0, newest: [] } }]);
    expect(['id:0,sig:11', 'id_0_sig_09', 'id:0'].map(signalOf)).toEqual(['SIGSEGV', 'signal 9', undefined]);
  });
});

describeWith(['afl-fuzz', 'afl-cc'], 'AFL++ of Debian', () => {
  test('finds the input that ends a program, and it is told', async () => {
    const at = (name: string): string => join(folder.path, name);
    writeFileSync(
      at('t.c'),
      '#include <stdio.h>\n#include <stdlib.h>\nint main(int c, char **v) { FILE *f = fopen(v[1], "r"); if (fgetc(f) == 98) abort(); return 0; }\n',
    );
    const env = {
      ...process.env,
      AFL_QUIET: '1',
      AFL_NO_UI: '1',
      AFL_SKIP_CPUFREQ: '1',
      AFL_NO_AFFINITY: '1',
      AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES: '1',
      AFL_BENCH_UNTIL_CRASH: '1',
    };
    execFileSync('afl-cc', [at('t.c'), '-o', at('t')], { env, stdio: 'ignore' });
    mkdirSync(at('in'));
    writeFileSync(at('in/a'), 'abc');
    execFileSync('afl-fuzz', ['-V', '60', '-i', at('in'), '-o', at('out'), '--', at('t'), '@@'], {
      env,
      stdio: 'ignore',
    });
    const path = join(folder.path, 'out/default');
    const found = await observe();
    expect(words(found)).toContain(`fuzzer-crash ${path} warning`);
    expect(found[1]?.summary).toMatch(/saved 1 crashing input of .*\/t \(.* by SIGABRT$/);
  }, 120_000);
});
