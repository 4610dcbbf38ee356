import { z } from 'zod';
import { Duration, durationOr } from '#config/duration.ts';
import { apiOptions } from './api.ts';
import { loginOptions } from './api-login.ts';
import { judgementOptions } from './judgement.ts';
import { oneSided, oneSidedFault } from './levels-option.ts';
import { promqlTokens } from './promql.ts';

const logQuery = z.string().trim().min(1).max(4_000);

/** `{job="sshd"}` and nothing behind it. */
const selector = logQuery.refine(
  (text) => {
    const tokens = promqlTokens(text);
    return tokens.length === 1 && tokens[0]?.is === 'matchers' && text.endsWith('}');
  },
  { error: 'must be a selector such as {job="sshd"}' },
);

/** Loki's `[15m]`: no zero, no more than a month. */
const range = Duration.refine((ms) => ms >= 1_000 && ms <= 31 * 86_400_000, { error: 'must be between 1s and 31d' });
const label = z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]{0,127}$/, 'must be the name of a label');

const Silent = z.strictObject({
  selector: selector.describe('Streams that must not fall silent, such as {job="systemd-journal"}.'),
  for: range.describe('No line for so long is silence.'),
  label: label
    .optional()
    .describe('Each value of this label is watched for itself, such as host. Absent: all streams together.'),
  values: z
    .array(z.string().min(1).max(200))
    .max(500)
    .optional()
    .describe('Values that must be there. Default: every one that wrote within the last seven days.'),
});

const Surge = z.strictObject({
  lines: logQuery.describe('Log query whose lines are counted, such as {job="sshd"} |= "Failed password".'),
  by: label.optional().describe('Label by whose values they are counted apart.'),
  span: durationOr('10m').describe('Time over which they are counted.'),
  factor: z.number().min(1).max(1_000).default(5).describe('So many times the mean of the last day is a surge.'),
  least: z.number().int().min(1).default(20).describe('Fewer lines than that never are one.'),
});

/** The keys of a `loki` check. */
export const LokiCheckOptions = z
  .strictObject({
    ...apiOptions,
    url: apiOptions.url.describe('Address of Loki, without /loki/api/v1.'),
    ...loginOptions,
    tenant: z.string().min(1).max(150).optional().describe('Tenant, sent as X-Scope-OrgID, where Loki has several.'),
    itself: z
      .boolean()
      .default(true)
      .describe('Whether Loki itself is watched as well. Without, its silence leaves the rest unknown.'),
    startingFor: durationOr('60s').describe(
      'Not ready for so long after a start is no trouble: it waits 15 s by itself.',
    ),
    query: logQuery
      .optional()
      .describe(
        'Metric query in LogQL, such as sum by (host) (count_over_time({job="sshd"} |= "Failed password" [5m])).',
      ),
    ...judgementOptions,
    silent: z.array(Silent).max(50).default([]).describe('Hosts or streams whose silence is a trouble.'),
    surges: z
      .array(Surge)
      .max(50)
      .default([])
      .describe('Lines of which there are suddenly many more than on the day before.'),
    retention: z
      .boolean()
      .default(true)
      .describe('Whether to tell that Loki keeps its lines for ever, which fills a disk.'),
    selfMetrics: z
      .boolean()
      .default(true)
      .describe('Whether to read /metrics: lines that it throws away, a full disk.'),
  })
  .refine(oneSided, oneSidedFault)
  .refine(({ query, above, below }) => query !== undefined || (above === undefined && below === undefined), {
    error: 'needs a query',
    path: ['above'],
  })
  .refine(({ itself, query, silent, surges }) => itself || query !== undefined || silent.length + surges.length > 0, {
    error: 'leaves nothing to look at without a query, silent or surges',
    path: ['itself'],
  });
export type LokiCheckOptions = z.output<typeof LokiCheckOptions>;
export type Silent = z.output<typeof Silent>;
export type Surge = z.output<typeof Surge>;
