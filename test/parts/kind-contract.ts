import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { Labels, Line } from '#bus/fields.ts';
import { Evidence } from '#bus/messages/finding.ts';
import { CheckCommon } from '#config/check-config.ts';
import type { CheckContext, CheckDefinition, Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { answering, checkContext, ending, silentHost } from './check-context.ts';
import { startFakeApi } from './fake-api.ts';
import { freePort } from './free-port.ts';
import { startTcpTarget, type TcpTarget } from './tcp-target.ts';

/** Everything that a terminal, a chat or a shell could take for something else, and long. */
const hostile = `\u001b[2J\u0007<b>&amp;$(id)\`'"\u202e\r\n@@meminfo\nMemTotal: x\n@@end meminfo 0\n${'A'.repeat(20_000)}\n`;

/** The least options that a kind must be given; those that ask the network ask this port of loopback. */
export type Least = (port: number) => Record<string, unknown>;

interface Exemptions {
  /** The kind asks nobody: it waits to be told, or reads a file of this machine. */
  asksNobody?: boolean;
  /** Any answer is what it asks for: it names what the answer has to be itself. */
  anyAnswer?: boolean;
}

/** What stands in front of a product, or in its place, or breaks on the way: none of it is the product. */
const notTheProduct = ['server-error-html', 'wrong-content-type', 'reset', 'unauthorized', 'forbidden'] as const;

/** The contract of every kind of check. Each kind's own test file calls it. */
export function kindContract<O extends z.ZodObject>(
  definition: CheckDefinition<O>,
  least: Least,
  exempt: Exemptions = {},
): void {
  const kind = definition as unknown as CheckDefinition;
  let garbler: TcpTarget;
  let mute: TcpTarget;
  beforeAll(async () => {
    garbler = await startTcpTarget((socket) => socket.end(hostile));
    mute = await startTcpTarget(() => undefined);
  });
  afterEach(closeHttpAgents);
  afterAll(async () => {
    await garbler[Symbol.asyncDispose]();
    await mute[Symbol.asyncDispose]();
  });

  const remote = { host: { name: 'web', config: { via: 'ssh' } } } as unknown as Partial<CheckContext>;
  const options = (port: number): Record<string, unknown> => kind.options.parse(least(port));
  const observe = (context: Partial<CheckContext>, port: number): Promise<Observation[]> =>
    kind.observe(options(port), checkContext({ ...remote, ...context }));

  describe(`the contract of ${kind.kind}`, () => {
    test('says in sentences what it is about, describes every option and says what evidence it gathers', () => {
      expect(kind.about).toMatch(/^[A-Z].{20,}\.$/);
      expect(kind.evidence.about).toMatch(/^[a-zA-Z].{8,}[^.]$/);
      for (const [option, schema] of Object.entries(kind.options.shape)) {
        expect(schema.description ?? '', `option "${option}"`).not.toBe('');
      }
    });

    test('has no option that every check has already, and refuses a misspelt one', () => {
      const common = Object.keys(CheckCommon.shape);
      expect(Object.keys(kind.options.shape).filter((option) => common.includes(option))).toEqual([]);
      expect(kind.options.strict().safeParse({ ...least(1), misspelt: 1 }).success).toBe(false);
    });

    test('names a finding of its own when the whole look fails', () => {
      expect(kind.resourceOf(options(1))).toMatch(/^.{1,200}$/);
    });

    test.each([
      ['garbage', answering(hostile, { stderr: hostile })],
      ['a failure with garbage', answering(hostile, { code: 1, stderr: hostile })],
      ['nothing', answering('')],
      [
        'a lost connection',
        ending({ end: 'lost', reason: hostile, output: { stdout: hostile, stderr: '', truncated: true } }),
      ],
    ])('%s stays bounded data and never looks well as a whole', async (_what, probe) => {
      const found = await observe({ probe }, garbler.port);
      expect(faultsOf(found)).toEqual([]);
      expect(kind.reach !== 'host' || found.some(({ reading }) => reading.is === 'unknown')).toBe(true);
    });

    test('gathers evidence that fits into a finding, or none', async () => {
      const context = checkContext({ ...remote, probe: answering(hostile) });
      const labels = { path: '/', unit: 'x.service', container: 'web' };
      const reading = { is: 'unknown', reason: 'x' } as const;
      const observation: Observation = { condition: 'filesystem-full', resource: 'x', labels, summary: 'x', reading };
      const evidence = await kind.evidence.gather(options(garbler.port), context, observation);
      for (const one of evidence) expect(Evidence.safeParse(one).error).toBeUndefined();
      expect(evidence.length).toBeLessThanOrEqual(6);
    });

    if (exempt.asksNobody) return;

    test('a closed port or an unreachable host is an observation, never well', async () => {
      const probe = ending({ end: 'unreachable', reason: 'no route' });
      const found = await observe({ probe }, await freePort());
      expect(faultsOf(found)).toEqual([]);
      expect(found.length).toBeGreaterThan(0);
      expect(wellOnes(found)).toEqual([]);
    });

    test('silence costs its own timeout or ends with the signal, and is never well', async () => {
      const stopping = new AbortController();
      const looking = observe({ probe: silentHost, signal: stopping.signal, timeoutMs: 400 }, mute.port);
      const timer = setTimeout(() => stopping.abort(new Error('time is up')), 1_000);
      const found = await looking.catch((error: unknown) => error);
      clearTimeout(timer);
      expect(Array.isArray(found) || found === stopping.signal.reason).toBe(true);
      expect(wellOnes(Array.isArray(found) ? found : [])).toEqual([]);
    });

    if (!('url' in kind.options.shape) || exempt.anyAnswer === true) return;

    test.each(notTheProduct)('an API with the fault "%s" is an observation, never well', async (fault) => {
      await using api = await startFakeApi(() => undefined);
      api.fault = fault;
      const found = await observe({ timeoutMs: 5_000 }, api.port);
      expect(faultsOf(found)).toEqual([]);
      expect(found.length).toBeGreaterThan(0);
      expect(wellOnes(found)).toEqual([]);
    });
  });
}

/** What is wrong with observations by the contract, in words. */
export function faultsOf(observations: readonly Observation[]): string[] {
  const keys = observations.map(({ condition, resource }) => `${condition} ${resource}`);
  const twice = new Set(keys).size === keys.length ? [] : [`a resource is there twice: ${keys.join(', ')}`];
  return [...twice, ...observations.flatMap(faultsOfOne)];
}

function faultsOfOne({ condition, resource, summary, labels, reading }: Observation): string[] {
  // oxlint-disable-next-line no-control-regex -- none must be left
  const unseen = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/;
  const rules: [boolean, string][] = [
    [/^[a-z]+(?:-[a-z0-9]+)*$/.test(condition), `condition "${condition}"`],
    [resource.length > 0 && resource.length <= 300, `resource of ${resource.length} characters`],
    [Line.safeParse(summary).success && !summary.endsWith('.'), `summary "${summary}"`],
    [!unseen.test(`${resource}${summary}`), `control characters in ${JSON.stringify(summary)}`],
    [Labels.safeParse(labels ?? {}).success, `labels ${JSON.stringify(labels)}`],
    [reading.is !== 'unknown' || reading.reason !== '', 'unknown without a reason'],
  ];
  return rules.flatMap(([holds, fault]) => (holds ? [] : [fault]));
}

function wellOnes(observations: readonly Observation[]): string[] {
  return observations.flatMap(({ reading, summary }) => (reading.is === 'state' && reading.ok ? [summary] : []));
}
