import { z } from 'zod';
import { durationOr } from '#config/duration.ts';
import { levels } from './levels-option.ts';

export const hostParts = [
  'filesystems',
  'inodes',
  'memory',
  'swap',
  'load',
  'cpu',
  'clock',
  'reboot',
  'updates',
  'ports',
] as const;
export type HostPart = (typeof hostParts)[number];

const percent = z.number().min(0).max(100);

function lasting(of: { warning: number; critical: number; lasts: string }) {
  return levels({ ...of, least: 0 })
    .safeExtend({ lasts: durationOr(of.lasts).describe('How long before it fires.') })
    .prefault({});
}

const gibibytes = z.number().nonnegative();

/** The keys of a `host-resources` check. */
export const HostOptions = z.strictObject({
  off: z.array(z.enum(hostParts)).default([]).describe('Parts that are not looked at.'),
  filesystems: z
    .strictObject({
      warning: percent.default(85).describe('Percent used where a warning begins.'),
      critical: percent.default(95).describe('Percent used where it is critical.'),
      warningFree: gibibytes
        .optional()
        .describe(
          'For large disks: no warning while more GiB than that are free. Absent: the percentage alone counts.',
        ),
      criticalFree: gibibytes.optional().describe('The same for critical.'),
      lasts: durationOr('5m').describe('How long before it fires.'),
      ignore: z.array(z.string().max(300)).default([]).describe('Mount points to leave out; `*` stands for any text.'),
    })
    .prefault({})
    .describe('Space of local file systems.'),
  inodes: levels({ warning: 10, critical: 3, least: 0 })
    .prefault({})
    .describe('Percent of inodes that are free, below which it fires.'),
  memory: z
    .strictObject({
      warning: percent.default(90).describe('Percent where a warning begins.'),
      critical: percent.optional().describe('Percent where it is critical, in place of `criticalFree`.'),
      criticalFree: z
        .number()
        .nonnegative()
        .default(512)
        .describe('MiB available below which it is critical; with less than 8 GiB in all a sixteenth of the memory.'),
      lasts: durationOr('5m').describe('How long before it fires.'),
    })
    .prefault({})
    .describe('Memory that programs cannot get.'),
  swap: levels({ warning: 50, critical: 80, least: 0 })
    .prefault({})
    .describe('Percent of swap used, while it is read back or memory is short.'),
  load: z
    .strictObject({
      warning: z.number().positive().default(2).describe('Where a warning begins.'),
      critical: z.number().positive().default(4).describe('Where it is critical.'),
    })
    .prefault({})
    .describe(
      '15 minute load per CPU, on machines and VMs. A warning has to last an hour before it fires, critical 15 minutes.',
    ),
  cpu: lasting({ warning: 85, critical: 95, lasts: '10m' }).describe(
    'Percent of CPU time that is not idle, between two looks. Critical only after 30 minutes. Not in a container without lxcfs.',
  ),
  clockSkew: durationOr('30s').describe('How far the clock of a host may be from ours.'),
  updates: z
    .strictObject({
      askEvery: durationOr('6h').describe('How often the package manager is asked, which costs seconds of CPU.'),
      warning: durationOr('3d').describe('Age of a pending security update where a warning begins.'),
      critical: durationOr('14d').describe('Age where it is critical.'),
    })
    .prefault({})
    .describe('Pending security updates of apt; younger ones are information.'),
});
export type HostOptions = z.output<typeof HostOptions>;
