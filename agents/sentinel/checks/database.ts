import { connect } from 'node:net';
import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { durationOr, formatDuration } from '#config/duration.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { resolveAddresses } from '#agents/sentinel/probes/addresses.ts';
import {
  type DatabaseName,
  type DatabaseProtocol,
  databaseProtocols,
  type Greeting,
  maximumGreetingBytes,
} from '#agents/sentinel/probes/database-greeting.ts';
import { startDeadline } from '#agents/sentinel/probes/deadline.ts';
import { endpointText } from '#agents/sentinel/probes/endpoint.ts';
import { lookNearby } from '#agents/sentinel/probes/nearby.ts';
import { classifyNetworkError } from '#agents/sentinel/probes/network-error.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import { evidenceOf, resourceName } from '#agents/sentinel/probes/text.ts';

const products = Object.keys(databaseProtocols) as [DatabaseName, ...DatabaseName[]];
const titles: Record<DatabaseName, string> = { postgres: 'PostgreSQL', mysql: 'the server', redis: 'Redis' };

const Options = z.strictObject({
  product: z.enum(products).describe('postgres; mysql, which is MariaDB too; redis, which is Valkey too.'),
  address: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[^-\s]/, 'must be a name or an address')
    .describe('Name or address of the server.'),
  port: z.number().int().min(1).max(65_535).optional().describe('Its port. Default: the usual one of the product.'),
  giveUpAfter: durationOr('4s').describe('No greeting for so long means down. Shorter than `timeout`.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'database',
  about:
    'Whether PostgreSQL, MariaDB, MySQL or Redis takes connections, is still starting, or is full. Asks for no login and reads no data.',
  options: Options,
  reach: 'network',
  resourceOf,
  observe,
  evidence: { about: 'what it said, the addresses of the name and what else answers there', gather },
});

function protocolOf({ product }: Options): DatabaseProtocol {
  return databaseProtocols[product];
}

function portOf(options: Options): number {
  return options.port ?? protocolOf(options).port;
}

function resourceOf(options: Options): string {
  return resourceName(endpointText({ address: options.address, port: portOf(options) }));
}

type Outcome = Greeting | { is: 'silent' | 'unable'; text: string };

/** An open port says little: a server that starts or recovers, or has no room, accepts the connection and refuses then. */
async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const resource = resourceOf(options);
  const name = titles[options.product];
  const said = { condition: 'database-down', resource, labels: { product: options.product } };
  const outcome = await greet(options, context);
  const told = (ok: boolean, summary: string): Observation[] => [state({ ...said, summary, ok, severity: 'critical' })];
  switch (outcome.is) {
    case 'takes':
      return told(true, `${name} at ${resource}: ${outcome.text}`);
    case 'waits':
      return told(false, `${name} at ${resource} takes no connections yet: ${outcome.text}`);
    case 'full':
      return told(false, `${name} at ${resource} has no room for another connection: ${outcome.text}`);
    case 'refuses':
      return told(false, `${name} at ${resource} is not well: ${outcome.text}`);
    case 'silent':
      return told(false, `${name} at ${resource} does not answer: ${outcome.text}`);
    case 'elsewhere':
      return [unseen(said, `it does not let this machine in: ${outcome.text}`)];
    case 'other':
    case 'unable':
      return [unseen(said, outcome.text)];
  }
}

function greet(options: Options, context: CheckContext): Promise<Outcome> {
  context.signal.throwIfAborted();
  const protocol = protocolOf(options);
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const socket = connect({ host: options.address, port: portOf(options), noDelay: true });
  let heard = Buffer.alloc(0);
  let answers = 0;
  const finish = (outcome: Outcome): void => {
    cancel();
    socket.destroy();
    resolve(outcome);
  };
  const cancel = startDeadline({ ms: options.giveUpAfter, context }, (why) => {
    if (why === 'time') {
      return finish({ is: 'silent', text: `no greeting within ${formatDuration(options.giveUpAfter)}` });
    }
    socket.destroy();
    reject(context.signal.reason as Error);
  });
  socket.on('connect', () => {
    if (protocol.hello !== undefined) socket.write(protocol.hello);
  });
  socket.on('data', (chunk: Buffer) => {
    heard = Buffer.concat([heard, chunk]);
    const greeting = protocol.read(heard, answers);
    if (Buffer.isBuffer(greeting)) {
      answers += 1;
      socket.write(greeting);
    } else if (greeting !== undefined) finish(greeting);
    else if (heard.length > maximumGreetingBytes) finish({ is: 'other', text: 'it talks without end' });
  });
  socket.on('end', () => finish({ is: 'silent', text: 'it hung up without a greeting' }));
  socket.on('error', (error) => {
    const { cause, text } = classifyNetworkError(error);
    finish({ is: cause === 'ours' ? 'unable' : 'silent', text });
  });
  return promise;
}

async function gather(options: Options, context: CheckContext, { summary }: Observation): Promise<Evidence[]> {
  const [addresses, nearby] = await Promise.all([
    resolveAddresses(options.address, context.signal),
    lookNearby(options.address, context, [portOf(options)]),
  ]);
  return [...addresses, ...nearby, ...evidenceOf('state', 'What it said', [summary])];
}
