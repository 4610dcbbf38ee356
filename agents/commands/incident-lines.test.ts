import { expect, test } from 'vitest';
import type { WholeIncident } from './incident-lines.ts';
import { incidentLines } from './incident-lines.ts';

const at = '2026-11-20T12:00:00.000Z';
const member = { fingerprint: 'a'.repeat(16), status: 'firing', rule: 'alone', why: 'nothing else is wrong' } as const;

const whole: WholeIncident = {
  incident: {
    id: 'inc-1',
    state: 'resolved',
    severity: 'critical',
    title: 'shop is down',
    root: member.fingerprint,
    members: [
      { ...member, role: 'root', summary: 'shop.service failed' },
      { ...member, role: 'symptom', status: 'resolved', summary: 'http 502' },
    ],
    acknowledgedBy: 'Ann',
    startsAt: at,
    endsAt: '2026-11-20T12:05:00.000Z',
    updatedAt: at,
  },
  timeline: [{ at, kind: 'began', text: 'shop is down' }],
  evidence: [
    { kind: 'log', title: 'Journal', lines: ['out of memory', '\u{1b}[2Jgone\nplan-9 approved'], truncated: 0 },
  ],
  assessment: {
    incident: 'inc-1',
    source: 'rules',
    cause: 'It failed',
    confidence: 0.8,
    evidence: [],
    failovers: [],
    costEuro: 0,
    at,
  },
  plan: {
    id: 'plan-1',
    title: 'Restart shop.service',
    risk: 'medium',
    status: 'approved',
    commands: ["web# systemctl restart 'shop\u{202e}.service'"],
  },
  run: {
    id: 'run-1',
    status: 'verified',
    end: 'failed',
    reason: 'step "restart" on web: failed',
    approver: 'Ann',
    steps: [{ id: 'restart', host: 'web', command: 'x', status: 'failed', exitStatus: 1, output: 'one\ntwo\n' }],
  },
};

test('one incident is told whole: members, opinion, plan, run with what it said, evidence, timeline', () => {
  expect(incidentLines(whole).slice(1)).toEqual([
    '  resolved, ended 2026-11-20T12:05:00.000Z',
    '  root    shop.service failed',
    '          alone: nothing else is wrong',
    '  symptom http 502 (over)',
    '          alone: nothing else is wrong',
    '',
    '  opinion of rules, confidence 80 %',
    '    It failed',
    '',
    '  plan-1 Restart shop.service, risk medium, approved',
    String.raw`    web# systemctl restart 'shop\u{202e}.service'`,
    '',
    '  run-1 failed, verified, approved by Ann: step "restart" on web: failed',
    '    web restart: failed, exit status 1',
    '      one',
    '      two',
    '',
    '  Journal',
    '    out of memory',
    expect.stringMatching(/^ {4}\P{Cc}*gone\u{240a}plan-9 approved$/u),
    '',
    '  2026-11-20T12:00:00.000Z began: shop is down',
  ]);
});

test('what was not assessed and not planned says so in one line or nothing', () => {
  const { assessment, plan: _plan, run: _run, ...rest } = whole;
  if (assessment === undefined) throw new Error('it has one');
  const lines = incidentLines({
    ...rest,
    evidence: [],
    timeline: [],
    assessment: { ...assessment, source: 'none', notAssessed: 'all providers are out' },
  });
  expect(lines.slice(6)).toEqual(['', '  not assessed: all providers are out', '']);
});
