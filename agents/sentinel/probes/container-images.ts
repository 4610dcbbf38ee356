import type { Observation } from '#agents/sentinel/check.ts';
import type { Container } from './containers.ts';
import { level, state } from './reading.ts';

const dayMs = 86_400_000;
/** Docker is of 2013: what claims to be older was built without a date, so that it is the same each time. */
const firstImage = Date.UTC(2013, 2, 13);

/** What is needed of `GET /images/{id}/json` and of `docker inspect`. */
export function parseImage(value: unknown): { id: string; builtAt: number } | undefined {
  if (value === null || typeof value !== 'object' || !('Id' in value) || !('Created' in value)) return undefined;
  const { Id: id, Created: created } = value;
  const builtAt = typeof created === 'string' ? Date.parse(created) : Number.NaN;
  return typeof id === 'string' && Number.isFinite(builtAt) ? { id, builtAt } : undefined;
}

/** How old the images of the running containers are, by the day on which they were built. */
export function imageConditions(
  containers: readonly Container[],
  of: { builtAt: ReadonlyMap<string, number>; now: number; olderThanMs: number },
): Observation[] {
  return containers.flatMap((container) => {
    const builtAt = of.builtAt.get(container.imageId);
    if (container.status !== 'running' || builtAt === undefined || builtAt < firstImage) return [];
    const days = Math.max(0, of.now - builtAt) / dayMs;
    return [
      level({
        condition: 'container-image-old',
        resource: container.name,
        labels: { container: container.name },
        summary: `${container.name} runs an image that was built ${Math.floor(days)} days ago (${container.image})`,
        value: days,
        unit: 'd',
        bad: 'above',
        warning: of.olderThanMs / dayMs,
        holdMs: 0,
      }),
    ];
  });
}

/** Images that nobody mends any more, by repository without a registry, and what to do. Sources: their own pages. */
const ended: Record<string, string> = {
  'linuxserver/emulatorjs': 'LinuxServer deprecated it and maintains it no more',
  'grafana/promtail': 'Promtail gets no more fixes since 2026-03-02; Grafana Alloy is its successor',
};

/** Running containers whose image has reached its end. It is information: they work, and will not be mended. */
export function endedImages(containers: readonly Container[]): Observation[] {
  return containers.flatMap((container) => {
    const why = ended[repositoryOf(container.image)];
    if (container.status !== 'running' || why === undefined) return [];
    return [
      state({
        condition: 'software-end-of-life',
        resource: container.name,
        labels: { container: container.name },
        summary: `${container.name} runs ${container.image}: ${why}`,
        ok: false,
        severity: 'info',
        holdMs: 0,
      }),
    ];
  });
}

/** `lscr.io/linuxserver/emulatorjs:latest@sha256:...` is `linuxserver/emulatorjs`. */
function repositoryOf(image: string): string {
  const [path = ''] = image.toLowerCase().split('@');
  const parts = path.replace(/:[^/]*$/, '').split('/');
  return parts.slice(-2).join('/');
}
