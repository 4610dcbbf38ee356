import type { z } from 'zod';
import type { Labels } from '#bus/fields.ts';
import type { NodeType } from '#config/inventory-fields.ts';
import type { Config } from '#config/schema.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import type { Probes } from '#agents/sentinel/probe.ts';

/** One thing as its source tells of it. All text in it is foreign. */
export interface Thing {
  /** Its identity in the source, which a rename does not change: a vmid, a container's id. */
  id: string;
  name: string;
  type: NodeType;
  address?: string;
  /** The name, in the source or in the configuration, of what it runs on. */
  on?: string;
  labels?: Labels;
  /** What it serves: names of jobs, applications, ports. */
  services?: readonly string[];
}

/** What came of asking. */
export type Discovered =
  | {
      is: 'answered';
      things: readonly Thing[];
      /** What could not be read, for a person. */
      notes: readonly string[];
    }
  /** Nobody answered, or not with a list: what was said last stays. */
  | { is: 'silent'; reason: string };

export interface DiscoveryContext extends Pick<CheckContext, 'clock' | 'signal' | 'timeoutMs' | 'baseFolder'> {
  /** The written hosts. */
  hosts: Config['hosts'];
  /** Read-only commands on them. */
  probes: Pick<Probes, 'runnerFor'>;
}

/**
 * A source of discovery. Contract: `discover` writes nothing, wakes nothing, and throws only bugs and the signal's
 * reason. A listing that failed is `silent`, never an empty list.
 */
export interface SourceDefinition<O extends z.ZodObject = z.ZodObject> {
  source: string;
  /** One sentence for a person: what it tells, and what it needs. */
  about: string;
  options: O;
  discover: (options: z.output<O>, context: DiscoveryContext) => Promise<Discovered>;
}

/** Defines a source. The file is named after it and exports it as `source`. */
export function defineSource<O extends z.ZodObject>(definition: SourceDefinition<O>): SourceDefinition<O> {
  return definition;
}
