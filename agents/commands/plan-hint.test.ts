import { expect, test } from 'vitest';
import type { Plan } from '#bus/messages/plan.ts';
import type { Proposal } from '#bus/messages/proposal.ts';
import { loadCatalogue } from '#playbooks/catalogue.ts';
import { hintsFor } from './plan-hint.ts';

const catalogue = await loadCatalogue();
const asked: Proposal = {
  id: 'p',
  playbook: 'restart-systemd-unit',
  parameters: {},
  hosts: ['web'],
  findings: [],
  by: 'terminal:me',
  at: '2026-11-20T12:00:00.000Z',
};
const refused = { status: 'refused' } as Plan;

test('a playbook that is not there is answered with those that are', () => {
  expect(hintsFor(refused, { ...asked, playbook: 'nope' }, catalogue)).toEqual([
    expect.stringMatching(/^playbooks: .*reload-nginx, .*restart-systemd-unit/),
  ]);
});

test('a parameter that is missing is answered with the line to type and what each parameter is', () => {
  const hints = hintsFor(refused, asked, catalogue);
  expect(hints[0]).toBe('usage: restart-systemd-unit --host web -p unit=...');
  expect(hints[1]).toMatch(/^ {2}unit: /);
});

test('a refusal for another reason needs no hint', () => {
  const given = { ...asked, parameters: { unit: 'nginx' } };
  expect(hintsFor(refused, given, catalogue)).toEqual([]);
  expect(hintsFor({ ...refused, status: 'pending' }, asked, catalogue)).toEqual([]);
});
