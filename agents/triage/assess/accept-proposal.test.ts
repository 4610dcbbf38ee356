import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadCatalogue } from '#playbooks/catalogue.ts';
import { factsOf, findingOf } from '../../../test/parts/incident-facts.ts';
import { readAnswer } from './answer.ts';
import { acceptProposal } from './accept-proposal.ts';
import { createVeil } from './redact.ts';

const catalogue = await loadCatalogue();
const facts = factsOf(findingOf(), {
  catalogue,
  members: [findingOf({ host: 'db', labels: { alertname: 'unit-failed', host: 'db', unit: 'postgresql.service' } })],
});
const given = { facts, shown: facts.candidates, freePaths: [] };

describe('a playbook that a model names', () => {
  test('is accepted with a target that a finding of the host names', () => {
    expect(acceptProposal({ playbook: 'restart-systemd-unit', parameters: { unit: 'shop.service' } }, given)).toEqual({
      ok: true,
      proposal: { playbook: 'restart-systemd-unit', parameters: { unit: 'shop.service' }, hosts: ['web'] },
    });
  });

  test('gets the values that the labels give when the model gives none', () => {
    expect(acceptProposal({ playbook: 'restart-systemd-unit', parameters: {} }, given)).toMatchObject({ ok: true });
  });

  test.each<[string, string, Record<string, string>]>([
    ['a playbook that was not shown', 'delete-old-files', {}],
    ['a playbook that does not exist', 'rm-rf', {}],
    ['a unit that nobody saw', 'restart-systemd-unit', { unit: 'sshd.service' }],
    ['a unit of another host', 'restart-systemd-unit', { unit: 'postgresql.service' }],
    ['a value that no unit can be', 'restart-systemd-unit', { unit: 'shop.service; rm -rf /' }],
    ['a parameter that is none', 'restart-systemd-unit', { unit: 'shop.service', host: 'db' }],
  ])('is refused with %s', (_name, playbook, parameters) => {
    expect(acceptProposal({ playbook, parameters }, given).ok).toBe(false);
  });

  test('never leaves what the findings of the host say, whatever a model writes', () => {
    const names = fc.oneof(fc.constantFrom(...catalogue.all().map(({ id }) => id)), fc.string());
    const values = fc.dictionary(
      fc.constantFrom('unit', 'container', 'path', 'days', 'x'),
      fc.oneof(fc.string(), fc.constantFrom('shop.service', 'shop', 'sshd.service', '/', '$(id)')),
    );
    fc.assert(
      fc.property(names, values, (playbook, parameters) => {
        const accepted = acceptProposal({ playbook, parameters }, given);
        if (!accepted.ok) return;
        expect(accepted.proposal.hosts).toEqual(['web']);
        expect(accepted.proposal.parameters['unit']).toBe('shop.service');
      }),
    );
  });

  test('is refused for a target that only another program named', () => {
    const labels = { alertname: 'http-down', host: 'web', unit: 'sshd.service' };
    const posted = findingOf({ labels, foreign: true });
    const both = { ...given, facts: { ...facts, members: [posted] } };
    const opinion = { playbook: 'restart-systemd-unit', parameters: { unit: 'sshd.service' } };
    expect(acceptProposal(opinion, both).ok).toBe(false);
    expect(acceptProposal(opinion, { ...both, facts: { ...facts, members: [findingOf({ labels })] } }).ok).toBe(true);
  });

  test('is refused for a host that is not in the inventory', () => {
    const elsewhere = { ...given, facts: { ...facts, inventory: ['db'] } };
    expect(acceptProposal({ playbook: 'restart-systemd-unit', parameters: {} }, elsewhere).ok).toBe(false);
  });
});

describe('an answer', () => {
  const veil = createVeil({ sees: 'local', hosts: [], users: [], nonce: 'k3f9' });
  const evidence = ['log | out of memory', 'log | killed process 7'];
  const read = (value: Record<string, unknown>) => readAnswer(value, { evidence, veil });

  test.each([
    ['numbers', [1, 2]],
    ['numbers as text', ['[1]', 'line 2']],
    ['quotations', ['out of memory', 'killed process 7']],
  ])('may point at evidence with %s', (_name, lines) => {
    const answer = read({ cause: 'Memory.', confidence: 0.8, evidence: lines, playbook: null, parameters: [] });
    expect(answer).toMatchObject({ ok: true, value: { evidence } });
  });

  test('cannot invent evidence', () => {
    const answer = read({ cause: 'Memory.', confidence: 0.8, evidence: [7, -1, 0, 'the butler did it'] });
    expect(answer).toMatchObject({ ok: true, value: { evidence: [] } });
  });

  test('may give parameters as an object and leave keys out', () => {
    const answer = read({ cause: 'Memory.', confidence: '0.8', playbook: 'p', parameters: { days: 3 } });
    expect(answer).toMatchObject({ ok: true, value: { playbook: 'p', parameters: { days: '3' }, confidence: 0.8 } });
  });

  test.each([
    ['no cause', { confidence: 0.5 }],
    ['an empty cause', { cause: ' ', confidence: 0.5 }],
    ['a confidence of 7', { cause: 'x', confidence: 7 }],
    ['no confidence', { cause: 'x' }],
    ['parameters that are a text', { cause: 'x', confidence: 1, parameters: 'unit' }],
  ])('with %s is refused with a reason', (_name, value) => {
    const answer = read(value);
    expect(answer.ok).toBe(false);
    expect(answer.ok || answer.fault).not.toBe('');
  });

  test('of two megabytes is read as far as an opinion goes', () => {
    const start = performance.now();
    const many = Array.from({ length: 180_000 }, (_, index) => `nothing like ${index}`);
    expect(read({ cause: 'x'.repeat(2_000_000), confidence: 1, evidence: many })).toMatchObject({ ok: true });
    expect(read({ cause: 'x', confidence: 1, parameters: many }).ok).toBe(false);
    expect(performance.now() - start).toBeLessThan(10_000);
    const named = Object.fromEntries(many.map((name) => [name, 'x']));
    const answer = read({ cause: 'x', confidence: 1, parameters: named });
    expect(answer.ok && Object.keys(answer.value.parameters)).toHaveLength(64);
  });

  test('has no secrets in its cause', () => {
    const answer = read({ cause: 'The key is sk-ant-api03-abcdefghijklmnopqrst', confidence: 1 });
    expect(answer.ok && answer.value.cause).toBe('The key is [redacted]');
  });
});
