import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anything, assert, property } from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseSarif } from '#agents/sentinel/probes/sarif.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { namedProblems } from '../../../test/parts/problems.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './sarif.ts';

kindContract(check, () => ({ report: '/srv/out/*/combined.sarif' }));

let folder = '';
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'lares sarif-'))));
afterEach(() => rmSync(folder, { recursive: true }));

interface Fake {
  rule: string;
  line?: number;
  level?: string;
  fingerprint?: string;
  [key: string]: unknown;
}

/** As Semgrep writes it, with the rules of the driver. */
function semgrep(results: readonly Fake[], more: object = {}) {
  return {
    version: '2.1.0',
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json',
    runs: [
      {
        tool: {
          driver: {
            name: 'Semgrep OSS',
            rules: [
              { id: 'sqli', defaultConfiguration: { level: 'error' }, properties: { 'security-severity': '9.1' } },
              { id: 'xss', defaultConfiguration: { level: 'error' } },
              { id: 'todo', defaultConfiguration: { level: 'note' } },
            ],
          },
        },
        invocations: [{ executionSuccessful: true }],
        results: results.map(({ rule, line = 1, level, fingerprint, ...rest }) => ({
          ruleId: rule,
          ...(level !== undefined && { level }),
          message: { text: `${rule} is here` },
          locations: [{ physicalLocation: { artifactLocation: { uri: 'src/a.py' }, region: { startLine: line } } }],
          partialFingerprints: fingerprint === undefined ? {} : { 'matchBasedId/v1': fingerprint },
          ...rest,
        })),
        ...more,
      },
    ],
  };
}

let written = 0;

/** Each run has a folder of its own, as RAPTOR makes them; each is younger than the one before. */
function write(report: unknown, name = `run ${(written += 1)}`, at = Date.now() / 1_000 - 1_000 + written): void {
  mkdirSync(join(folder, name), { recursive: true });
  const path = join(folder, name, 'combined.sarif');
  writeFileSync(path, typeof report === 'string' ? report : JSON.stringify(report));
  utimesSync(path, at, at);
}

function watcher(options: object = {}) {
  const context = checkContext();
  const parsed = check.options.parse({ report: `${folder}/*/combined.sarif`, ...options });
  return (now = Date.now()) => check.observe(parsed, { ...context, clock: { ...context.clock, now: () => now } });
}

describe('the newest report', () => {
  test('is a summary at the first look, not a flood', async () => {
    write(semgrep([{ rule: 'sqli' }, { rule: 'xss' }, { rule: 'todo' }]));
    const found = await watcher()();
    expect(namedProblems(found)).toEqual([]);
    expect(found[1]?.summary).toBe('Semgrep OSS: 2 errors, 0 warnings, 1 note; 0 new');
  });

  test('with a new error is told with rule and place, until a report without it', async () => {
    const look = watcher();
    write(semgrep([{ rule: 'xss' }]));
    await look();
    write(semgrep([{ rule: 'xss' }, { rule: 'sqli', line: 7 }, { rule: 'todo', line: 9 }]));
    const found = namedProblems(await look());
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(
      /^critical code-finding src\/a\.py:7 sqli \S{10}: sqli \(severity 9\.1\) at src\/a\.py:7: sqli is here$/,
    );
    expect(namedProblems(await look())).toEqual(found);
    write(semgrep([{ rule: 'xss' }]));
    expect(namedProblems(await look())).toEqual([]);
  });

  test('that is never renewed tells its new results for a week', async () => {
    const look = watcher({ ageAtMost: '90d' });
    write(semgrep([]));
    await look();
    write(semgrep([{ rule: 'xss' }]));
    const day = 86_400_000;
    expect(namedProblems(await look())).toHaveLength(1);
    expect(namedProblems(await look(Date.now() + 6 * day))).toHaveLength(1);
    expect(namedProblems(await look(Date.now() + 8 * day))).toEqual([]);
  });

  test('whose lines moved has nothing new where the tool has fingerprints', async () => {
    const look = watcher();
    write(semgrep([{ rule: 'xss', line: 1, fingerprint: 'f1' }]));
    await look();
    write(semgrep([{ rule: 'xss', line: 99, fingerprint: 'f1' }]));
    expect(namedProblems(await look())).toEqual([]);
  });

  test('with many new ones tells some and counts all', async () => {
    const look = watcher({ shown: 3 });
    write(semgrep([]));
    await look();
    write(semgrep(Array.from({ length: 30 }, (_, line) => ({ rule: 'xss', line }))));
    const found = await look();
    expect(namedProblems(found)).toHaveLength(3);
    expect(found[1]?.summary).toBe('Semgrep OSS: 30 errors, 0 warnings, 0 notes; 30 new');
  });

  test('is told when it is old, when there are more errors than allowed, and when the tool failed', async () => {
    write(
      semgrep([{ rule: 'xss' }], { invocations: [{ executionSuccessful: false }] }),
      'old',
      Date.now() / 1_000 - 9 * 86_400,
    );
    expect(namedProblems(await watcher({ errorsAtMost: 0 })()).map((text) => text.replaceAll(folder, ''))).toEqual([
      'warning scan-report-old /*/combined.sarif: the newest report is 9 days old',
      'warning scan-report /*/combined.sarif: Semgrep OSS: 1 error, 0 warnings, 0 notes; 0 new; 0 errors are allowed',
      'warning scan-failed Semgrep OSS: Semgrep OSS says that it did not run to its end: its results are not complete',
    ]);
  });

  test('that is half written or no SARIF is unknown and forgets nothing', async () => {
    const look = watcher();
    write(semgrep([{ rule: 'xss' }]));
    await look();
    for (const broken of ['{"version": "2.1.0", "runs": [', '<html>', '{"version":"1.0.0","runs":[]}']) {
      write(broken);
      expect(namedProblems(await look())[0]).toMatch(/^unknown scan-report .*is no SARIF 2\.1\.0/);
    }
    write(semgrep([{ rule: 'xss' }]));
    expect(namedProblems(await look())).toEqual([]);
  });

  test('that was never there is unknown, one that is gone is told', async () => {
    const look = watcher();
    expect(namedProblems(await look())[0]).toMatch(/^unknown scan-report/);
    write(semgrep([]), 'only');
    await look();
    rmSync(join(folder, 'only'), { recursive: true });
    expect(namedProblems(await look())[0]).toMatch(/^warning scan-report .*any more$/);
  });

  test('is found by a pattern that is never run', async () => {
    const report = `${folder}/$(touch ${folder}/owned)/*;touch ${folder}/owned`;
    const [found] = await check.observe(check.options.parse({ report }), checkContext());
    expect(found?.reading.is).toBe('unknown');
    write(semgrep([]));
    expect(namedProblems(await watcher()())).toEqual([]);
  });
});

describe('results', () => {
  test('that are suppressed, passed or gone do not count', () => {
    const report = semgrep([
      { rule: 'xss', line: 1, suppressions: [{ kind: 'inSource' }] },
      { rule: 'xss', line: 2, suppressions: [{ kind: 'external', status: 'rejected' }] },
      { rule: 'xss', line: 3, kind: 'pass' },
      { rule: 'xss', line: 4, baselineState: 'absent' },
    ]);
    expect(parseSarif(report)?.findings.map(({ place }) => place)).toEqual(['src/a.py:2']);
  });

  test('of CodeQL take level and severity from the rules of an extension', () => {
    const report = {
      version: '2.1.0',
      runs: [
        {
          tool: {
            driver: { name: 'CodeQL', rules: [] },
            extensions: [
              {
                name: 'codeql/python-queries',
                rules: [
                  {
                    id: 'py/sql-injection',
                    defaultConfiguration: { level: 'error' },
                    properties: { 'security-severity': '8.8' },
                  },
                ],
              },
            ],
          },
          results: [
            {
              ruleId: 'py/sql-injection',
              rule: { id: 'py/sql-injection', index: 0, toolComponent: { index: 0 } },
              message: { text: 'This query depends on a user value.\nMore' },
              partialFingerprints: { primaryLocationLineHash: '39fa2ee980eb94b0:1' },
            },
          ],
        },
      ],
    };
    expect(parseSarif(report)?.findings).toMatchObject([
      {
        rule: 'py/sql-injection',
        level: 'error',
        securitySeverity: 8.8,
        place: '-',
        message: 'This query depends on a user value.',
      },
    ]);
  });

  test('of Trivy with one rule and place for two packages are two; without a login Semgrep has no fingerprints', () => {
    const trivy = semgrep([
      { rule: 'CVE-2026-1', message: { text: 'Package: openssl' } },
      { rule: 'CVE-2026-1', message: { text: 'Package: libssl3' } },
    ]);
    expect(parseSarif(trivy)?.findings).toHaveLength(2);
    const semgrepOss = semgrep([
      { rule: 'xss', line: 1, fingerprints: { 'matchBasedId/v1': 'requires login' } },
      { rule: 'xss', line: 2, fingerprints: { 'matchBasedId/v1': 'requires login' } },
    ]);
    expect(parseSarif(semgrepOss)?.findings).toHaveLength(2);
  });

  test('of any JSON are read without a throw', () => {
    assert(
      property(anything(), anything(), (result, rule) => {
        parseSarif(result);
        const run = { tool: { driver: { name: 'x', rules: [rule] } }, results: [result] };
        for (const { place, message } of parseSarif({ version: '2.1.0', runs: [run] })?.findings ?? []) {
          expect(place.length + message.length).toBeLessThan(600);
        }
      }),
    );
  });
});
