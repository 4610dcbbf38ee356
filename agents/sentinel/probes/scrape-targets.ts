import { z } from 'zod';
import type { Observation } from '#agents/sentinel/check.ts';
import { state, unseen } from './reading.ts';
import { carriedLabels } from './series.ts';

/** `/api/v1/targets` of Prometheus, VictoriaMetrics and vmagent. */
export const ScrapeTargets = z.object({
  status: z.literal('success'),
  data: z.object({
    activeTargets: z.array(
      z.object({
        labels: z.record(z.string(), z.string()),
        scrapePool: z.string().default(''),
        scrapeUrl: z.string().default(''),
        health: z.string(),
        lastError: z.string().default(''),
        lastScrape: z.string().default(''),
      }),
    ),
  }),
});
type ScrapeTarget = z.output<typeof ScrapeTargets>['data']['activeTargets'][number];

/** One for each target. What was not scraped yet is unknown, which VictoriaMetrics calls down, of 1970. */
export function targetObservations(targets: readonly ScrapeTarget[]): Observation[] {
  const counts = new Map<string, number>();
  for (const target of targets) counts.set(nameOf(target), (counts.get(nameOf(target)) ?? 0) + 1);
  const observations = targets.map((target) => {
    // One machine may be scraped at several paths of one job.
    const isAlone = counts.get(nameOf(target)) === 1;
    return observationOf(target, isAlone ? nameOf(target) : `${nameOf(target)} ${target.scrapeUrl}`);
  });
  return [...new Map(observations.map((observation) => [observation.resource, observation])).values()];
}

function nameOf({ labels, scrapePool, scrapeUrl }: ScrapeTarget): string {
  return `${labels['job'] ?? scrapePool} ${labels['instance'] ?? scrapeUrl}`.trim() || 'target';
}

function observationOf(target: ScrapeTarget, resource: string): Observation {
  const { health, lastError, lastScrape } = target;
  const said = { condition: 'target-down', resource, labels: carriedLabels(target.labels) };
  const isScraped = lastScrape === '' ? health !== 'unknown' : !/^(?:0001|1970)-/.test(lastScrape);
  if (health === 'up') return state({ ...said, summary: `${resource} is scraped`, ok: true, severity: 'warning' });
  if (!isScraped) return unseen(said, 'it was not scraped yet');
  const why = lastError === '' ? 'no reason is given' : lastError;
  return state({ ...said, summary: `${resource} cannot be scraped: ${why}`, ok: false, severity: 'warning' });
}
