import { describe, expect, test } from 'vitest';
import { Assessment } from '#bus/messages/assessment.ts';
import type { Finding } from '#bus/messages/finding.ts';
import { loadCatalogue } from '#playbooks/catalogue.ts';
import { factsOf, findingOf } from '../../../test/parts/incident-facts.ts';
import { assessByRules } from './rules.ts';

const catalogue = await loadCatalogue();

function opinionOn(changes: Partial<Finding>, members: Finding[] = []) {
  return assessByRules(factsOf(findingOf(changes), { catalogue, members }));
}

function journal(...lines: string[]): Partial<Finding> {
  return { evidence: [{ kind: 'log', title: 'Journal', lines, truncated: 0 }] };
}

describe('the cause in words', () => {
  test.each<[string, Partial<Finding>, RegExp]>([
    [
      'an exit status',
      journal('Main process exited, code=exited, status=1/FAILURE'),
      /shop\.service ended by itself with exit status 1/,
    ],
    [
      'a lack of memory',
      journal(
        'shop.service: A process of this unit has been killed by the OOM killer.',
        "Failed with result 'oom-kill'.",
      ),
      /memory ran out/,
    ],
    [
      'a taken port',
      journal('bind() to 0.0.0.0:80 failed (98: Address already in use)'),
      /another program has its port/,
    ],
    ['a full disk below a unit', journal('write failed: No space left on device'), /a disk is full/],
    [
      'a missing program',
      journal('Main process exited, code=exited, status=203/EXEC'),
      /missing or cannot be executed/,
    ],
    ['a bad configuration', journal('nginx: [emerg] unknown directive "servr"'), /refuses its configuration/],
    ['a start limit', journal('shop.service: Start request repeated too quickly.'), /gave up starting it/],
    ['a killed process', journal('Main process exited, code=killed, status=9/KILL'), /was killed by SIGKILL/],
    [
      'a container out of memory',
      { labels: { alertname: 'container-down', container: 'shop' }, ...journal('ExitCode 137, OOMKilled: true') },
      /container shop was killed because memory/i,
    ],
    [
      'a full filesystem',
      { labels: { alertname: 'filesystem-full', path: '/var' }, summary: '/var is 96 % full', evidence: [] },
      /\/var on web is full: \/var is 96 % full/,
    ],
    [
      'a bad gateway',
      { labels: { alertname: 'http-down' }, resource: 'https://x', summary: 'https://x answered 502', evidence: [] },
      /proxy in front cannot reach/,
    ],
    [
      'a refused port',
      { labels: { alertname: 'http-down' }, resource: 'https://x', summary: 'connection refused', evidence: [] },
      /does not listen/,
    ],
    [
      'an expired certificate',
      {
        labels: { alertname: 'certificate-expired' },
        resource: 'x:443',
        summary: 'x:443 expired 2 days ago',
        evidence: [],
      },
      /has expired/,
    ],
    [
      'a refused certificate',
      {
        labels: { alertname: 'certificate-invalid' },
        resource: 'x:443',
        summary: 'the name does not fit',
        evidence: [],
      },
      /clients refuse/,
    ],
    [
      'a container in need',
      {
        labels: { alertname: 'container-out-of-memory', container: 'shop' },
        summary: 'shop was stopped',
        evidence: [],
      },
      /container shop on web runs short of memory/i,
    ],
    [
      'a new port',
      { labels: { alertname: 'port-new' }, resource: ':4444', summary: ':4444 is open', evidence: [] },
      /was not before/,
    ],
    [
      'a host that is gone',
      { labels: { alertname: 'host-down' }, resource: 'web', summary: 'web:22 does not answer', evidence: [] },
      /web does not answer: it is off, hangs/,
    ],
    [
      'a foreign alert',
      { labels: { alertname: 'MoonPhase' }, summary: 'Full moon', evidence: [] },
      /^No rule knows the cause: Full moon\.$/,
    ],
    [
      'a check that cannot look',
      { condition: 'unknown', summary: 'login refused' },
      /could not be looked at: login refused/,
    ],
  ])('tells %s', (_name, changes, cause) => {
    const opinion = opinionOn(changes);
    expect(opinion.cause).toMatch(cause);
    expect(opinion.confidence).toBeGreaterThan(0);
    expect(opinion.confidence).toBeLessThanOrEqual(1);
  });

  test('rests on the line that gives it away', () => {
    const line = 'Main process exited, code=exited, status=1/FAILURE';
    expect(opinionOn(journal('Starting shop', line, 'Stopped')).evidence[0]).toBe(line);
  });

  test('says what follows, what was changed before and what helped last time', () => {
    const upgrade = '2026-11-20T02:58:00Z (2m before) package shop upgraded (1.2 to 1.3)';
    const opinion = opinionOn(
      {
        evidence: [
          { kind: 'change', title: 'Packages', lines: [upgrade], truncated: 0 },
          { kind: 'history', title: 'Before', lines: ['2026-11-01: restart-systemd-unit fixed it'], truncated: 0 },
        ],
      },
      [findingOf({ labels: { alertname: 'http-down' }, host: 'web', fingerprint: '0123456789abcdef' })],
    );
    expect(opinion.cause).toMatch(
      /1 other finding follows.*Shortly before: package shop upgraded \(1\.2 to 1\.3\)\. Last time.*restart-systemd-unit fixed it/,
    );
    expect(opinion.evidence).toContain(upgrade);
  });

  test('takes no change of the morning for what happened just before', () => {
    const lines = ['2026-11-20T01:00:00Z (2h before) package shop upgraded (1.2 to 1.3)'];
    const opinion = opinionOn({ evidence: [{ kind: 'change', title: 'Packages', lines, truncated: 0 }] });
    expect(opinion.cause).not.toContain('before');
    expect(opinion.evidence).not.toContain(lines[0]);
  });

  test('names what happened to the unit itself before what else changed, and no login', () => {
    const lines = [
      '2026-11-20T02:59:59Z (at the onset) root logged in from 10.0.0.9',
      '2026-11-20T02:59:50Z (10s before) cron.service started',
      '2026-11-20T02:59:40Z (20s before) shop.service failed',
    ];
    const change = (labels: Record<string, string>, shown = lines) =>
      opinionOn({
        labels: { alertname: 'http-down', ...labels },
        evidence: [{ kind: 'change', title: 'What changed', lines: shown, truncated: 0 }],
      });
    expect(change({ unit: 'shop.service' }).cause).toMatch(/Shortly before: shop\.service failed\.$/);
    expect(change({}).cause).toMatch(/Shortly before: cron\.service started\.$/);
    expect(change({}, lines.slice(0, 1)).cause).not.toContain('before');
  });

  test('fits the message, whatever the world says', () => {
    const long = 'x'.repeat(600);
    const opinion = opinionOn({ summary: long, ...journal(...Array.from({ length: 40 }, () => `${long} status=1`)) });
    const at = '2026-11-20T03:00:00.000Z';
    const assessment = { incident: 'i', source: 'rules', ...opinion, failovers: [], costEuro: 0, at };
    expect(Assessment.safeParse(assessment).success).toBe(true);
  });
});

describe('the proposal of the rules', () => {
  test('restarts a unit that ended by itself, on its own host', () => {
    expect(opinionOn({}).proposal).toEqual({
      playbook: 'restart-systemd-unit',
      parameters: { unit: 'shop.service' },
      hosts: ['web'],
    });
  });

  test('lifts the start limit where systemd gave up', () => {
    expect(opinionOn(journal('shop.service: Start request repeated too quickly.')).proposal?.playbook).toBe(
      'reset-and-start-unit',
    );
  });

  test('restarts a container', () => {
    const labels = { alertname: 'container-down', container: 'shop' };
    const root = findingOf({ evidence: [] });
    const facts = factsOf({ ...root, labels }, { catalogue });
    expect(assessByRules(facts).proposal).toMatchObject({ playbook: 'restart-docker-container', hosts: ['web'] });
  });

  test.each([
    ['doing it over cannot help', journal('nginx: [emerg] unknown directive')],
    ['the host is not ours', { host: 'elsewhere' }],
    ['there is no host', { host: undefined }],
    ['it could not be looked at', { condition: 'unknown' }],
    ['another program said it', { foreign: true }],
    ['nothing in the catalogue answers', { labels: { alertname: 'load-high' } }],
  ] as [string, Partial<Finding>][])('is none when %s', (_name, changes) => {
    expect(opinionOn(changes).proposal).toBeUndefined();
  });

  test('is none when a parameter is missing', () => {
    const facts = factsOf(findingOf(), { catalogue });
    const candidates = facts.candidates.map((candidate) => ({ ...candidate, missing: ['unit'] }));
    expect(assessByRules({ ...facts, candidates }).proposal).toBeUndefined();
  });

  test('takes the lower risk of two that are equally particular', () => {
    const facts = factsOf(findingOf(), { catalogue });
    const candidates = facts.candidates.map((candidate) => ({
      ...candidate,
      playbook: {
        ...candidate.playbook,
        risk: candidate.playbook.id === 'reset-and-start-unit' ? ('low' as const) : ('high' as const),
      },
    }));
    expect(assessByRules({ ...facts, candidates }).proposal?.playbook).toBe('reset-and-start-unit');
  });
});
