import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { readCommand } from '#agents/sentinel/probes/command-reading.ts';
import { type HostLook, hostPartObservers, wantsUpdates } from '#agents/sentinel/probes/host-look.ts';
import { HostOptions, hostParts } from '#agents/sentinel/probes/host-options.ts';
import { hostEvidenceScript, hostScript } from '#agents/sentinel/probes/host-script.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { splitSections } from '#agents/sentinel/probes/sections.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

/** Longer than any check should take: the signal of the look ends it before. */
const execTimeoutMs = 60_000;
const evidenceTimeoutMs = 12_000;
/** A host with a thousand mounts or ports. */
const maximumOutputBytes = 1_048_576;

export const check = defineCheck({
  kind: 'host-resources',
  about:
    'Space, inodes, memory, swap, load, CPU, clock, pending reboots and security updates, and new open ports of a host.',
  options: HostOptions,
  reach: 'host',
  resourceOf: () => 'host',
  observe,
  evidence: { about: 'the largest folders, or the processes that take most', gather },
});

async function observe(options: HostOptions, context: CheckContext): Promise<Observation[]> {
  const askedAt = context.clock.now();
  const wanted = [
    ...(options.off.includes('ports') ? [] : ['ports']),
    // The package manager takes seconds.
    ...(context.isFirst !== true && wantsUpdates(context.memory, options, askedAt) ? ['updates'] : []),
  ];
  const end = await context.probe.run(['sh', '-c', hostScript, 'sh', ...wanted], {
    timeoutMs: Math.min(execTimeoutMs, context.timeoutMs),
    signal: context.signal,
    maximumOutputBytes,
  });
  const answer = readCommand(end);
  const sections = splitSections(answer.ok ? answer.text : '');
  if (!answer.ok) return [unseen(whole, answer.reason)];
  if (!sections.has('meminfo') && !sections.has('blocks')) {
    return [unseen(whole, 'the host did not run the script')];
  }
  const isLocal = context.host?.config.via === 'local';
  const look: HostLook = {
    sections,
    askedAt,
    answeredAt: context.clock.now(),
    isLocal,
    options,
    memory: context.memory,
  };
  const found = hostParts
    .filter((part) => !options.off.includes(part))
    .flatMap((part) => hostPartObservers[part](look));
  return [
    state({ ...whole, summary: `looked at ${counted(found.length, 'value')}`, ok: true, severity: 'critical' }),
    ...found,
  ];
}

const whole = { condition: 'host-resources', resource: 'host' };

async function gather(_options: HostOptions, context: CheckContext, observation: Observation): Promise<Evidence[]> {
  const topic = topicOf(observation.condition);
  // Only a mount point as the host itself printed it is given to `du`; anything else would not be a path.
  const path = topic === 'filesystem' ? (observation.labels?.['path'] ?? '/') : '/';
  const end = await context.probe.run(
    ['sh', '-c', hostEvidenceScript, 'sh', topic, path.startsWith('/') ? path : '/'],
    {
      timeoutMs: evidenceTimeoutMs,
      signal: context.signal,
    },
  );
  const answer = readCommand(end);
  if (!answer.ok) return [];
  const sections = splitSections(answer.text);
  const lines = (name: string): string[] => sections.get(name)?.text.split('\n') ?? [];
  return [
    ...evidenceOf('state', 'Largest folders (KiB)', lines('largest')),
    ...evidenceOf('state', 'Processes by memory', lines('memory')),
    ...evidenceOf('state', 'Processes by CPU', lines('cpu')),
  ];
}

function topicOf(condition: string): 'filesystem' | 'memory' | 'load' | 'none' {
  switch (condition) {
    case 'filesystem-full':
    case 'filesystem-inodes-low':
      return 'filesystem';
    case 'memory-low':
    case 'swap-used':
      return 'memory';
    case 'load-high':
    case 'cpu-high':
      return 'load';
    default:
      return 'none';
  }
}
