import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import type { PbsOptions } from './pbs-options.ts';
import type { ProxmoxApi } from './proxmox-api.ts';

/** One look at a Backup Server. */
export interface PbsLook {
  api: ProxmoxApi;
  options: PbsOptions;
  context: CheckContext;
  now: number;
}

/** What was seen, and where it could not be looked. */
export interface PbsSeen {
  observations: Observation[];
  blind: { condition: string; resource: string; reason: string }[];
}

export function together(parts: readonly PbsSeen[]): PbsSeen {
  return {
    observations: parts.flatMap(({ observations }) => observations),
    blind: parts.flatMap(({ blind }) => blind),
  };
}
