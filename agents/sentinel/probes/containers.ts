import type { Severity } from '#bus/fields.ts';
import { oneLine } from './text.ts';

/** What is needed of `GET /containers/{id}/json` and of `docker inspect`, which print the same names. */
export interface Container {
  id: string;
  name: string;
  image: string;
  /** Id of the image, `sha256:...`; empty when the engine does not say. */
  imageId: string;
  /** `created running paused restarting removing exited dead`. */
  status: string;
  /** True between two starts of a crash loop, while `Running` may be true as well. */
  isRestarting: boolean;
  wasOutOfMemory: boolean;
  exitCode: number;
  error: string;
  restarts: number;
  /** `no on-failure always unless-stopped`. */
  policy: string;
  health: 'none' | 'starting' | 'healthy' | 'unhealthy';
  /** With a terminal its logs are not framed. */
  hasTerminal: boolean;
  /** NodeTool's proxy starts it when it is asked for and stops it when it idles. */
  isOnDemand: boolean;
}

/** Docker's own pattern for names; anything else never becomes an argument or a path. */
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/;

export function parseContainer(value: unknown): Container | undefined {
  const root = members(value);
  const state = members(root['State']);
  const config = members(root['Config']);
  const host = members(root['HostConfig']);
  const name = text(root['Name']).replace(/^\//, '');
  const id = text(root['Id']);
  if (!namePattern.test(name) || !/^[0-9a-f]{12,64}$/.test(id) || text(state['Status']) === '') return undefined;
  return {
    id,
    name,
    image: oneLine(text(config['Image']), 200),
    imageId: imageIdIn(text(root['Image'])),
    status: oneLine(text(state['Status']), 30),
    isRestarting: state['Restarting'] === true,
    wasOutOfMemory: state['OOMKilled'] === true,
    exitCode: number(state['ExitCode']),
    error: oneLine(text(state['Error']), 200),
    restarts: number(root['RestartCount']),
    policy: oneLine(text(members(host['RestartPolicy'])['Name']), 30),
    health: healthOf(text(members(state['Health'])['Status'])),
    hasTerminal: config['Tty'] === true,
    isOnDemand: members(config['Labels'])['com.nodetool.managed'] === 'true',
  };
}

function imageIdIn(id: string): string {
  return /^sha256:[0-9a-f]{64}$/.test(id) ? id : '';
}

function members(value: unknown): Record<string, unknown> {
  return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function healthOf(status: string): Container['health'] {
  return status === 'starting' || status === 'healthy' || status === 'unhealthy' ? status : 'none';
}

type ContainerVerdict = { is: 'ok'; text: string } | { is: 'bad'; text: string; severity: Severity };

/** Whether a container that should run does. Restarting and unhealthy are conditions of their own. */
export function judgeRunning(container: Container, isNamed: boolean): ContainerVerdict {
  switch (container.status) {
    case 'running':
    case 'restarting':
      return { is: 'ok', text: container.status === 'running' ? 'runs' : 'is between two starts' };
    case 'removing':
      return { is: 'ok', text: 'is being removed' };
    case 'paused':
      return { is: 'bad', text: 'is paused', severity: isNamed ? 'critical' : 'warning' };
    case 'exited':
      return judgeExited(container, isNamed);
    case 'created':
      return { is: 'bad', text: `was created and never started${because(container)}`, severity: 'critical' };
    default:
      return { is: 'bad', text: `is ${container.status}${because(container)}`, severity: 'critical' };
  }
}

/** Whether one that may rest does: ended as whoever stops it ends it, or never started. A crash is no rest. */
export function isAtRest({ status, exitCode, wasOutOfMemory }: Container): boolean {
  if (status === 'created' || status === 'paused') return true;
  return status === 'exited' && stopCodes.has(exitCode) && !wasOutOfMemory;
}

/** 137 is SIGKILL, 143 SIGTERM: how `docker stop` ends what does not end by itself. */
const stopCodes = new Set([0, 137, 143]);

function judgeExited(container: Container, isNamed: boolean): ContainerVerdict {
  const { exitCode, policy } = container;
  const ended = `exited with ${exitCode}${container.wasOutOfMemory ? ' (out of memory)' : ''}${because(container)}`;
  if (isNamed) return { is: 'bad', text: ended, severity: 'critical' };
  // A task that has done its work.
  if (exitCode === 0 && policy !== 'always' && policy !== 'unless-stopped') {
    return { is: 'ok', text: 'has ended with 0 and is not to be started again' };
  }
  // Docker starts it again after any end of its own, so somebody stopped it.
  const isByHand = (policy === 'always' || policy === 'unless-stopped') && stopCodes.has(exitCode);
  if (isByHand && !container.wasOutOfMemory) {
    return { is: 'bad', text: `was stopped by hand (${ended})`, severity: 'warning' };
  }
  return { is: 'bad', text: ended, severity: policy === 'no' || policy === '' ? 'warning' : 'critical' };
}

function because(container: Container): string {
  return container.error === '' ? '' : `: ${container.error}`;
}
