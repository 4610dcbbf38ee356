import { z } from 'zod';
import { Duration, durationOr } from '#config/duration.ts';
import { defineStep } from '../step.ts';

/** The values are the positional arguments of a fixed script: $0 tries, then the command. */
const untilSucceeds = 'n=$0; until "$@"; do n=$((n-1)); [ "$n" -gt 0 ] || exit 1; sleep 1; done';
/** $0 tries, $1 container, $2 wanted state. A container without a health check has only its state. */
const untilContainer =
  'n=$0; until s=$(docker inspect -f "{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}" "$1") && ' +
  '{ [ "$s" = "$2" ] || [ "$s" = running ]; }; do n=$((n-1)); [ "$n" -gt 0 ] || { echo "$s"; exit 1; }; sleep 1; done';

const within = { within: durationOr('60s').describe('How long to wait; asked once a second.') };

export const step = defineStep({
  kind: 'wait-for',
  about: 'Waits until something is well again and fails when it is not in time.',
  options: z.strictObject({
    for: z
      .discriminatedUnion('state', [
        z.strictObject({ state: z.literal('unit-active'), unit: z.string().min(1).max(240) }),
        z.strictObject({ state: z.literal('container-well'), container: z.string().min(1).max(128) }),
        z.strictObject({ state: z.literal('passed'), time: Duration.describe('Only wait.') }),
      ])
      .describe(
        '`state` with its own key: `unit-active` and `unit`, `container-well` and `container`, `passed` and `time`.',
      ),
    ...within,
  }),
  render(options) {
    const tries = String(Math.max(1, Math.ceil(options.within / 1_000)));
    const timeoutMs = options.within + 30_000;
    switch (options.for.state) {
      case 'unit-active':
        return [
          {
            argv: ['sh', '-c', untilSucceeds, tries, 'systemctl', 'is-active', '--quiet', options.for.unit],
            sudo: false,
            timeoutMs,
          },
        ];
      case 'container-well':
        return [{ argv: ['sh', '-c', untilContainer, tries, options.for.container, 'healthy'], sudo: true, timeoutMs }];
      case 'passed':
        return [
          {
            argv: ['sleep', String(Math.ceil(options.for.time / 1_000))],
            sudo: false,
            timeoutMs: options.for.time + 10_000,
          },
        ];
    }
  },
});
