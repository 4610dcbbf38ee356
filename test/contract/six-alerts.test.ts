import { expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { judge, ruleFor } from '#agents/sentinel/judge.ts';
import { readRuleFile } from '#agents/sentinel/probes/rule-file.ts';
import { bindShipped } from '#agents/sentinel/registry.ts';
import { calm } from '#agents/sentinel/state.ts';
import { ConfigSchema } from '#config/schema.ts';
import { answering, checkContext } from '../parts/check-context.ts';
import { freePort } from '../parts/free-port.ts';

/** Which check and condition of the preset stands for which rule. */
const counterparts = [
  ['Service Down (HTTP)', 'home-service-down', 'http-down'],
  ['Network Device Unreachable (ICMP)', 'home-device-unreachable', 'ping-lost'],
  ['High Memory', 'home-limits', 'memory-low'],
  ['High CPU', 'home-limits', 'cpu-high'],
  ['Disk Space Low', 'home-limits', 'filesystem-full'],
  ['Container Down', 'home-container-down', 'host-down'],
] as const;

interface Machine {
  memory: number;
  cpu: number;
  disk: number;
}

/** What the host script prints on a machine that uses these per cent; the CPU since `before`. */
function sections({ memory, cpu, disk }: Machine, looks: number): string {
  const parts = {
    container: 'none',
    mounts: '/dev/sda1 / ext4 rw 0 0',
    blocks: `/dev/sda1 ext4 1000000000 ${disk * 10_000_000} ${1_000_000_000 - disk * 10_000_000} ${disk}% /`,
    meminfo: `MemTotal: 4000000 kB\nMemAvailable: ${(100 - memory) * 40_000} kB`,
    stat: `cpu  ${looks * cpu} 0 0 ${looks * (100 - cpu)} 0 0 0 0`,
  };
  return Object.entries(parts)
    .map(([name, text]) => `\n@@${name}\n${text}\n\n@@end ${name} 0\n`)
    .join('');
}

async function checksOfPreset() {
  const config = ConfigSchema.parse({
    defaultChecks: false,
    hosts: {
      home: {
        address: 'home.invalid',
        read: { user: 'lares' },
        watch: [{ preset: 'homelab-alerts', url: `http://127.0.0.1:${await freePort()}`, device: 'switch.invalid' }],
      },
    },
  });
  const { checks, faults } = await bindShipped(config);
  expect(faults).toEqual([]);
  return checks;
}

/** What one condition comes to on that machine: how bad, and how long it must last. */
async function outcome(id: string, condition: string, machine: Machine): Promise<object> {
  const check = (await checksOfPreset()).find((one) => one.id === id);
  if (check === undefined) throw new Error(`no check ${id}`);
  const context = checkContext({ timeoutMs: 5_000 });
  let found: Observation[] = [];
  for (const looks of [1, 2]) {
    found = await check.definition.observe(check.options, { ...context, probe: answering(sections(machine, looks)) });
  }
  const observation = found.find((one) => one.condition === condition);
  if (observation === undefined) throw new Error(`no ${condition} of ${id}`);
  const look = judge(observation.reading, calm, check.config.severity);
  return { look, holdMs: ruleFor(check, observation).holdMs };
}

function six() {
  const reading = readRuleFile('shipped:homelab', '/');
  if (!reading.ok) throw new Error(reading.reason);
  return reading.file.rules.filter(({ group }) => group === 'homelab');
}

test('the six rules are those', () => {
  expect(six().map(({ alert }) => alert)).toEqual(counterparts.map(([alert]) => alert));
});

test.each(counterparts)('%s is found without exporters, as bad and after as long', async (alert, id, condition) => {
  const rule = six().find((one) => one.alert === alert);
  expect(await outcome(id, condition, { memory: 91, cpu: 86, disk: 86 })).toEqual({
    look: { is: 'bad', severity: rule?.labels['severity'] },
    holdMs: rule?.holdMs,
  });
});

test.each(counterparts.slice(2, 5))('%s is not found below its limit', async (_alert, id, condition) => {
  expect(await outcome(id, condition, { memory: 89, cpu: 84, disk: 84 })).toMatchObject({ look: { is: 'good' } });
});
