import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

interface Trap {
  number: number;
  proofs: { file: string; title: string }[];
  /** What no playbook does yet: it need not be proved before one matches. */
  undone: RegExp[];
}

const traps: Trap[] = read('test/contract/traps.md')
  .split(/^### /m)
  .slice(1)
  .map((text) => ({
    number: Number.parseInt(text, 10),
    proofs: [...text.matchAll(/^- `([^`]+\.test\.ts)` (.+)$/gm)].map(([, file = '', title = '']) => ({ file, title })),
    undone: [...text.matchAll(/^- playbooks without `([^`]+)`$/gm)].map(([, source = '']) => new RegExp(source)),
  }));

/** Whether a file has a test of that title that is run: `test('…`, `test.each(…)('…` or a condition in place of it. */
function hasTest({ file, title }: Trap['proofs'][number]): boolean {
  const quoted = ["'", '"', '`'].map((quote) => `${quote}${title}${quote},`);
  return read(file)
    .split('\n')
    .filter((line) => !/\b(?:describe|todo|skip)\(/.test(line))
    .some((line) => quoted.some((text) => line.includes(`(${text}`) || line.trim() === text));
}

/** Code without its comments, which may name what the code must not do. */
function codeOf(file: string): string {
  return read(file)
    .split('\n')
    .filter((line) => !/^\s*(?:\/\/|\/?\*|#)/.test(line))
    .join('\n');
}

const shipped = globSync(['agents/**/*.ts', 'playbooks/**/*.{ts,yaml}', 'config/**/*.yaml'], { cwd: root }).filter(
  (file) => !file.endsWith('.test.ts'),
);
const playbooks = shipped.filter((file) => /^playbooks\/(?:library|steps)\//.test(file));

test('the page has all of them in order, each with a proof or a reason why there is none yet', () => {
  expect(traps.length).toBeGreaterThanOrEqual(68);
  expect(traps.map(({ number }) => number)).toEqual(traps.map((_, index) => index + 1));
  expect(traps.filter(({ proofs, undone }) => proofs.length + undone.length === 0)).toEqual([]);
});

test.each(traps)('what proves trap $number is there', ({ proofs }) => {
  expect(proofs.filter((proof) => !hasTest(proof))).toEqual([]);
});

test('what no playbook does yet is done by none', () => {
  const done = traps.flatMap(({ number, undone }) =>
    playbooks
      .filter((file) => undone.some((pattern) => pattern.test(codeOf(file))))
      .map((file) => `${file} needs a proof that it does not step into trap ${number}`),
  );
  expect(playbooks.length).toBeGreaterThan(10);
  expect(done).toEqual([]);
});

describe('nothing that ships', () => {
  test.each([
    ['prints the private key of a tunnel', /\bwg show (?:all |\S+ )?dump\b/],
    ["takes the news of another's key from CrowdSec", /decisions\/stream/],
    ['runs the SNMP tools of Debian', /\bsnmp(?:get|walk|bulkwalk|status)\b/],
    ['believes is-active of several units at once', /\bis-active\b[^\n]*"\$@"/],
    ['switches a NixOS host past the script of its fleet', /nixos-rebuild['", ]+(?:switch|boot|test)\b/],
    ['renews certificates that are not due', /--force-renewal|certbot['", ]+renew[^\n]*--force/],
  ])('%s', (_what, pattern) => {
    expect(shipped.length).toBeGreaterThan(400);
    expect(shipped.filter((file) => pattern.test(codeOf(file)))).toEqual([]);
  });
});

test('CrowdSec is installed where its registration would fail', () => {
  const lines = read('.ci/run').split('\n');
  const written = lines.findIndex((line) => /echo .*> \/etc\/crowdsec\/online_api_credentials\.yaml/.test(line));
  const installed = lines.findIndex((line) => line.includes('apt-get install'));
  expect(written).toBeGreaterThan(0);
  expect(installed).toBeGreaterThan(written);
});
