import type { Container } from './containers.ts';

/** All containers of a host, that there is no Docker, or why nothing is known. */
export type ContainerList =
  | { is: 'listed'; containers: Container[] }
  | { is: 'absent' }
  | { is: 'unknown'; reason: string };

/** Read-only ways to a Docker engine: its socket here, its command line over SSH. */
export interface Docker {
  list(signal: AbortSignal): Promise<ContainerList>;
  /** The last lines of a container, oldest first, with their times; nothing when they cannot be read. */
  logs(container: Container, signal: AbortSignal): Promise<string[]>;
  /** When these images were built (epoch ms), by id; those that cannot be read are left out. */
  builtAt(ids: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, number>>;
}

/** Where an engine of the system listens; one of an ordinary user is at /run/user/UID/docker.sock. */
export const systemSocket = '/var/run/docker.sock';

/** More than any engine lists in a second. */
export const maximumContainers = 500;
export const logLines = 30;

/** What to do about a socket that may not be opened. */
export const permissionHint =
  'permission denied at the Docker socket: give this user a read-only socket proxy, or the group docker (which is as good as root)';
