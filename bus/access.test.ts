import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { allKinds, mayPublish, maySubscribe, mosquittoAcl } from './access.ts';
import { AgentName } from './message.ts';
import { mosquittoConf, shippedPaths } from './mosquitto.ts';
import { verbsOf } from './verbs.ts';

it('every kind of message in the folder is known to the access list', async () => {
  const files = readdirSync(new URL('messages/', import.meta.url)).filter((file) => !file.endsWith('.test.ts'));
  const modules = await Promise.all(
    files.map(async (file) => (await import(`./messages/${basename(file, '.ts')}.ts`)) as Record<string, unknown>),
  );
  const kinds = modules
    .flatMap((module) => Object.values(module))
    .filter((value) => value !== null && typeof value === 'object' && 'schemaId' in value);
  expect(new Set(kinds)).toEqual(new Set(allKinds));
  expect(new Set(allKinds.map(({ name }) => name)).size).toBe(allKinds.length);
});

describe('an agent', () => {
  it('writes only its own kinds', () => {
    expect(mayPublish('sentinel', 'home', 'lares/home/finding/0011223344556677')).toBe(true);
    for (const agent of ['triage', 'remediation', 'console'] as const) {
      expect(mayPublish(agent, 'home', 'lares/home/finding/0011223344556677')).toBe(false);
    }
    expect(mayPublish('remediation', 'home', 'lares/home/plan/p1')).toBe(true);
    expect(mayPublish('triage', 'home', 'lares/home/plan/p1')).toBe(false);
    expect(mayPublish('remediation', 'home', 'lares/home/approval/p1')).toBe(false);
    expect(mayPublish('sentinel', 'home', 'lares/home/freeze')).toBe(false);
  });

  it('speaks for itself alone', () => {
    for (const agent of AgentName.options) {
      for (const other of AgentName.options) {
        expect(mayPublish(agent, 'home', `lares/home/agent/${other}/state`)).toBe(agent === other);
      }
    }
  });

  it('answers only the questions that are its own', () => {
    expect(mayPublish('triage', 'home', 'lares/home/response/paired')).toBe(true);
    expect(mayPublish('remediation', 'home', 'lares/home/response/dry-run')).toBe(true);
    for (const verb of ['paired', 'pair', 'dry-run', 'plans', 'toString', 'unheard-of']) {
      expect(mayPublish('sentinel', 'home', `lares/home/response/${verb}`)).toBe(false);
    }
    expect(mayPublish('remediation', 'home', 'lares/home/response/findings')).toBe(false);
    expect(mosquittoAcl('home')).not.toContain('response/+');
  });

  it('stays in its site', () => {
    for (const topic of ['lares/other/finding/x', 'finding/x', '/lares/home/finding/x', 'lares/home', '$SYS/x', '']) {
      expect(mayPublish('sentinel', 'home', topic)).toBe(false);
    }
    for (const topic of ['lares/home/finding/', 'lares/home/finding/a/b', 'lares/home/finding/\u0001', 'lares/home/']) {
      expect(mayPublish('sentinel', 'home', topic)).toBe(false);
    }
  });

  it('writes nothing below homeassistant/: nobody announces there', () => {
    for (const agent of AgentName.options) {
      expect(mayPublish(agent, 'home', 'homeassistant/device/lares/config')).toBe(false);
    }
    expect(maySubscribe('home', 'homeassistant/status')).toBe(false);
    expect(mosquittoAcl('home')).not.toContain('homeassistant');
  });

  it('is read whole by its agents, and nothing else is', () => {
    for (const filter of ['lares/home/#', 'lares/home/finding/+', 'lares/home/+/x']) {
      expect(maySubscribe('home', filter)).toBe(true);
    }
    const refused = ['#', '+/#', 'lares/#', 'lares/+/freeze', 'lares/homely/#', '$SYS/#', '$share/g/lares/home/#', 'x'];
    for (const filter of refused) expect(maySubscribe('home', filter)).toBe(false);
  });
});

function filtersIn(kind: (typeof allKinds)[number], agent: AgentName): string[] {
  if (kind.filter.startsWith('agent/+/')) return [kind.filter.replace('+', agent)];
  if (kind.name === 'response') return verbsOf(agent).map((verb) => `response/${verb}`);
  return [kind.filter];
}

describe('the shipped files for Mosquitto', () => {
  it('are what the generators write', async () => {
    await expect(mosquittoAcl('home')).toMatchFileSnapshot('../config/mosquitto/acl');
    await expect(mosquittoConf(shippedPaths)).toMatchFileSnapshot('../config/mosquitto/mosquitto.conf');
  });

  it('give every kind to its writers', () => {
    const acl = mosquittoAcl('home');
    for (const kind of allKinds) {
      for (const agent of kind.writers) {
        const part = acl.split(`user ${agent}\n`)[1]?.split('\nuser ')[0] ?? '';
        for (const filter of filtersIn(kind, agent)) expect(part).toContain(`topic write lares/home/${filter}\n`);
      }
    }
  });
});
