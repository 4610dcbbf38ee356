import { expect, test } from 'vitest';
import { Plan } from '#bus/messages/plan.ts';
import type { CommandContext } from './command.ts';
import { printPlan } from './planning.ts';

const command = { host: 'web', sudo: false, timeoutMs: 1_000, success: [0] };
const plan = Plan.parse({
  id: 'plan-1',
  proposal: 'p',
  findings: [],
  status: 'pending',
  title: 'Restart',
  playbook: 'x\u202Ey',
  risk: 'medium',
  proof: 'tap',
  blastRadius: [],
  history: [],
  createdAt: '2026-11-20T12:00:00.000Z',
  expiresAt: '2026-11-21T00:00:00.000Z',
  body: {
    playbook: 'x',
    playbookDigest: '0'.repeat(64),
    parameters: {},
    hosts: [{ host: 'web', transport: 'local', address: '', port: 0, user: '', hostKeys: [] }],
    preconditions: [{ ...command, id: 'a', argv: ['cat', '/etc/before'], states: 'it is there' }],
    condition: [{ ...command, id: 'b', argv: ['cat', '/etc/wrong'], states: 'it is wrong' }],
    steps: [{ ...command, id: 'c', argv: ['touch', 'a b'] }],
    verification: [{ ...command, id: 'd', argv: ['sudo', '-n', 'cat', '/etc/after'], states: 'it is well' }],
    rollback: [{ ...command, id: 'e', argv: ['rm', '\u001b[2K'] }],
  },
});

test('every command that an approval allows is printed, looks included, and nothing of it moves the terminal', () => {
  const lines: string[] = [];
  printPlan({ print: (text: string) => void lines.push(text) } as unknown as CommandContext, plan);
  const text = lines.join('\n');
  for (const part of ['cat /etc/before', 'cat /etc/wrong', "touch 'a b'", 'sudo -n cat /etc/after', '\\u{1b}[2K']) {
    expect(text).toContain(part);
  }
  expect(text).not.toMatch(/[^\P{C}\n]/u);
});
