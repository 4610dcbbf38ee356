import { z } from 'zod';
import { linesOf, parseBlocks } from './host-answer.ts';
import type { Section } from './sections.ts';
import { jsonOf } from './text.ts';

type Sections = ReadonlyMap<string, Section>;

const Generation = z.object({
  generation: z.number(),
  /** Local time of the host, `2026-11-14 07:02:11`. */
  date: z.string(),
  nixosVersion: z.string().default(''),
  kernelVersion: z.string().default(''),
  current: z.boolean().default(false),
});
type Generation = z.output<typeof Generation>;
const Generations = z.array(Generation).max(10_000);

/** What a NixOS host says of itself; times are epoch ms by its own clock. */
export interface NixosState {
  now: number;
  current?: { number?: number; madeAt: number };
  /** The last end of the automatic update that was a success. */
  updatedAt?: number;
  /** Whether the last automatic update failed, in words. */
  failure?: string;
  /** Parts of the booted system that the current one replaces, such as `kernel`. */
  replaced: string[];
  /** Whether the next boot takes another system than the one that runs. */
  boots: 'current' | 'another' | 'unknown';
}

export function parseGenerations(text: string): Generation[] {
  // Warnings of Nix may come before and after the list.
  const from = text.search(/^\s*\[/m);
  const parsed = Generations.safeParse(from === -1 ? undefined : jsonOf(text.slice(from, text.lastIndexOf(']') + 1)));
  return parsed.success ? parsed.data : [];
}

export function readNixos(sections: Sections, fallbackNow: number): NixosState {
  const [seconds, zone = '+0000'] = linesOf(sections, 'clock');
  const now = Number(seconds) > 0 ? Number(seconds) * 1_000 : fallbackNow;
  const links = new Map(linesOf(sections, 'links').map((line) => [line.split(' ')[0] ?? '', line.split(' ')[1] ?? '']));
  const current = currentOf(sections, { zone, links });
  return {
    now,
    ...(current !== undefined && { current }),
    ...updatesOf(sections),
    replaced: ['kernel', 'initrd', 'kernel-modules'].filter((part) => isReplaced(links, part)),
    boots: bootsOf(links),
  };
}

/** The list of generations says best; the link of the profile says it too, without the number. */
function currentOf(
  sections: Sections,
  of: { zone: string; links: ReadonlyMap<string, string> },
): NixosState['current'] {
  const listed = parseGenerations(sections.get('generations')?.text ?? '').find(({ current }) => current);
  const madeAt = listed === undefined ? NaN : localTime(listed.date, of.zone);
  if (listed !== undefined && Number.isFinite(madeAt)) return { number: listed.generation, madeAt };
  const made = Number(of.links.get('made')) * 1_000;
  return Number.isFinite(made) && made > 0 ? { madeAt: made } : undefined;
}

function localTime(text: string, zone: string): number {
  const offset = /^([+-]\d{2})(\d{2})$/.exec(zone);
  if (/(?:Z|[+-]\d{2}:?\d{2})$/.test(text)) return Date.parse(text.replace(' ', 'T'));
  return Date.parse(`${text.replace(' ', 'T')}${offset === null ? 'Z' : `${offset[1]}:${offset[2]}`}`);
}

function isReplaced(links: ReadonlyMap<string, string>, part: string): boolean {
  const booted = links.get(`/run/booted-system/${part}`) ?? '';
  const current = links.get(`/run/current-system/${part}`) ?? '';
  return booted !== '' && current !== '' && booted !== current;
}

function bootsOf(links: ReadonlyMap<string, string>): NixosState['boots'] {
  const current = links.get('current') ?? '';
  const profile = links.get('profile') ?? '';
  if (!current.startsWith('/nix/store/') || !profile.startsWith('/nix/store/')) return 'unknown';
  return current === profile ? 'current' : 'another';
}

/** From the unit of systemd and from the metrics that an update script left; either may be absent. */
function updatesOf(sections: Sections): Pick<NixosState, 'updatedAt' | 'failure'> {
  const unit = parseBlocks(sections.get('unit')?.text ?? '')[0] ?? new Map<string, string>();
  const metrics = parseMetrics(linesOf(sections, 'metrics'));
  const metric = (name: string): number => metrics.get(name) ?? 0;
  const updatedAt = Math.max(
    lastSuccess(unit),
    metric('nixos_autoupdate_system_last_success') * 1_000,
    metric('nixos_last_update_system_timestamp') * 1_000,
  );
  const failure =
    unit.get('ActiveState') === 'failed'
      ? `ended with ${unit.get('Result') ?? 'failure'}`
      : metrics.get('nixos_autoupdate_system_status') === 0
        ? 'failed by what its metric says'
        : undefined;
  return { ...(updatedAt > 0 && { updatedAt }), ...(failure !== undefined && { failure }) };
}

/** Epoch ms; 0 when it never ended well since the boot. */
function lastSuccess(unit: ReadonlyMap<string, string>): number {
  const isWell =
    unit.get('ActiveState') !== 'failed' && unit.get('Result') === 'success' && unit.get('ExecMainStatus') === '0';
  const exitedAt = Number(/^@(\d+)/.exec(unit.get('ExecMainExitTimestamp') ?? '')?.[1]) * 1_000;
  return isWell && Number.isFinite(exitedAt) ? exitedAt : 0;
}

/** `name{labels} value` as node_exporter reads it. */
function parseMetrics(lines: readonly string[]): Map<string, number> {
  return new Map(
    lines.flatMap((line) => {
      const [, name, value] = /^([a-z_]+)(?:\{[^}]*\})? ([0-9.e+]+)$/.exec(line) ?? [];
      return name !== undefined && Number.isFinite(Number(value)) ? [[name, Number(value)] as const] : [];
    }),
  );
}

/** Each asked file and what its first bytes are; git-crypt's begin with NUL, `GITCRYPT`, NUL. */
export function parseSecrets(sections: Sections): { path: string; is: 'locked' | 'open' | 'unreadable' }[] {
  return linesOf(sections, 'secrets').flatMap((line) => {
    const [, bytes = '', path] = /^(\S*) (.+)$/.exec(line) ?? [];
    if (path === undefined) return [];
    const is = bytes === '' ? 'unreadable' : bytes.startsWith(String.raw`\0GITCRYPT\0`) ? 'locked' : 'open';
    return [{ path, is } as const];
  });
}
