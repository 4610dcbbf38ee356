import { beforeAll, describe, expect, it } from 'vitest';
import { digestOf } from '#bus/canonical.ts';
import { loadCatalogue } from '#playbooks/catalogue.ts';
import type { Catalogue } from '#playbooks/playbook.ts';
import { markerOf, plainCommand, renderBody, type RenderInput, type Target } from './commands.ts';
import { protectedUnits, protectionOf } from './protected.ts';

let catalogue: Catalogue;
beforeAll(async () => {
  catalogue = await loadCatalogue();
});

function target(host: string, sudo = false): Target {
  const planned = { host, transport: 'ssh' as const, address: host, port: 22, user: 'lares', hostKeys: ['SHA256:x'] };
  return { planned, sudo };
}

function input(over: Partial<RenderInput> = {}): RenderInput {
  const playbook = catalogue.get('reset-and-start-unit');
  if (playbook === undefined) throw new Error('no playbook');
  return {
    plan: 'plan-ab',
    playbook,
    playbookDigest: catalogue.digestOf(playbook.id),
    parameters: { unit: 'nginx.service' },
    targets: [target('a'), target('b', true)],
    alertnames: ['unit-failed'],
    protectedUnits: ['ssh', 'wg-quick@*'],
    ...over,
  };
}

describe('a rendered plan', () => {
  it('holds every command whole, with its own marker, and sudo only where the login needs it', () => {
    expect(renderBody(input()).steps.map(({ id, argv }) => [id, argv.join(' ')])).toEqual([
      ['start-1', 'env LARES_STEP=ab.1 timeout -k 5 15 systemctl reset-failed nginx.service'],
      ['start-2', 'env LARES_STEP=ab.2 timeout -k 5 100 systemctl start nginx.service'],
      ['start-1', 'env LARES_STEP=ab.3 timeout 15 sudo -n systemctl reset-failed nginx.service'],
      ['start-2', 'env LARES_STEP=ab.4 timeout 100 sudo -n systemctl start nginx.service'],
    ]);
  });

  it('tells the marker and the plain command of a step', () => {
    const steps = renderBody(input()).steps;
    expect(steps.map(markerOf)).toEqual(['ab.1', 'ab.2', 'ab.3', 'ab.4']);
    expect(steps.map((step) => plainCommand(step).join(' '))).toEqual([
      'systemctl reset-failed nginx.service',
      'systemctl start nginx.service',
      'systemctl reset-failed nginx.service',
      'systemctl start nginx.service',
    ]);
  });

  it('is the same for the same input, and another for each thing that may change', () => {
    const digest = digestOf(renderBody(input()));
    expect(digestOf(renderBody(input()))).toBe(digest);
    const others: Partial<RenderInput>[] = [
      { plan: 'plan-ac' },
      { playbookDigest: 'f'.repeat(64) },
      { parameters: { unit: 'nginx2.service' } },
      { targets: [target('a')] },
      { targets: [target('a'), { ...target('b', true), planned: { ...target('b').planned, port: 23 } }] },
      { targets: [target('a'), { ...target('b', true), planned: { ...target('b').planned, hostKeys: ['SHA256:y'] } }] },
      { targets: [target('a'), target('b')] },
      { alertnames: [] },
      { protectedUnits: ['ssh'] },
    ];
    const playbook = input().playbook;
    const withCondition = {
      ...playbook,
      condition: playbook.condition.map((one) => ({ ...one, of: ['unit-failed'] })),
    };
    const digests = others.map((over) => digestOf(renderBody(input({ playbook: withCondition, ...over }))));
    expect(new Set([digest, ...digests]).size).toBe(others.length + 1);
  });

  it('looks at a condition only when all its findings are of that sort', () => {
    const playbook = catalogue.get('restart-systemd-unit') ?? input().playbook;
    const conditions = (alertnames: string[]) =>
      renderBody(input({ playbook, alertnames })).condition.map(({ id }) => id);
    expect(conditions(['unit-failed'])).toEqual(['not-active', 'not-active']);
    expect(conditions(['http-down'])).toEqual([]);
    expect(conditions(['unit-failed', 'http-down'])).toEqual([]);
    expect(conditions([])).toEqual([]);
  });

  it('asks the host for every name of a unit', () => {
    const [probe] = renderBody(input()).preconditions;
    const refuses = (names: string): boolean => new RegExp(probe?.matchesNot ?? '', 'mu').test(names);
    expect(refuses('nginx.service')).toBe(false);
    expect(refuses('nginx.service sshd.service ssh.service')).toBe(true);
    expect(refuses('wg-quick@wg0.service')).toBe(true);
    expect(refuses('openssh.service ssh-agent.service')).toBe(false);
  });

  it('many protected units become several probes, none too long for a message', () => {
    const many = Array.from({ length: 60 }, (_, index) => `very-important-unit-${index}`);
    const probes = renderBody(input({ protectedUnits: many, targets: [target('a')] })).preconditions;
    expect(probes.length).toBeGreaterThan(4);
    expect(Math.max(...probes.map(({ matchesNot }) => matchesNot?.length ?? 0))).toBeLessThan(300);
  });
});

describe('protected units', () => {
  const rules = protectedUnits(['ssh', 'wg-quick@*', 'tailscaled.service']);
  it.each([
    'ssh.service',
    'ssh.socket',
    'wg-quick@wg0.service',
    'tailscaled.service',
    'systemd-poweroff.service',
    'dbus.socket',
    'lares.service',
  ])('%s is protected', (unit) => expect(protectionOf(unit, rules)).toBeDefined());
  it.each(['nginx.service', 'sshguard.service', 'my-ssh.service', 'wg-quick.service'])('%s is not', (unit) =>
    expect(protectionOf(unit, rules)).toBeUndefined(),
  );
});
