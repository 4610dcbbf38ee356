import { z } from 'zod';
import { Duration, durationOr } from '#config/duration.ts';
import { SecretRef } from '#config/schema.ts';
import { loginOptions } from './api-login.ts';
import { patternOption } from './pattern.ts';

const statusRange = /^(?:[1-5]\d\d(?:-[1-5]\d\d)?|[1-5]xx)$/;

const HeaderName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'must be the name of a header');
const HeaderValue = z.string().regex(/^[\t\x20-\x7e\x80-\xff]{0,4000}$/, 'must be one line of text');

const Address = z
  .url({ protocol: /^https?$/, error: 'must start with http:// or https://' })
  .max(2_000)
  .refine((url) => !/^https?:\/\/[^/?#]*@/i.test(url), { error: 'must hold no password: use user and password' });

const JsonValue = z.union([z.string().max(1_000), z.number(), z.boolean(), z.null()]);

/** What one value of a JSON body has to be; all that is written holds together. */
const JsonRule = z
  .strictObject({
    path: z.string().min(1).max(300).describe('Names and indexes: data.items[0].state'),
    equals: JsonValue.optional().describe('The value wanted there.'),
    oneOf: z.array(JsonValue).min(1).max(100).optional().describe('Values, one of which is wanted.'),
    exists: z.boolean().optional().describe('Whether there has to be a value; null is one.'),
    matches: patternOption().optional().describe('Regular expression that a text or number must match.'),
    above: z.number().optional().describe('A number must be greater.'),
    below: z.number().optional().describe('A number must be less.'),
    atLeast: z.number().int().min(0).optional().describe('A list, text or object must have so many members.'),
    atMost: z.number().int().min(0).optional().describe('It must have no more.'),
  })
  .refine((rule) => Object.keys(rule).length > 1, { error: 'must say what is wanted there, such as equals' });
export type JsonRule = z.output<typeof JsonRule>;

/** The keys of an `http` check. */
export const HttpOptions = z.strictObject({
  url: Address.describe('Address to ask.'),
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS']).default('GET').describe('HTTP method.'),
  ...loginOptions,
  headers: z.record(HeaderName, HeaderValue).default({}).describe('Headers to send.'),
  headersFrom: z
    .record(HeaderName, SecretRef)
    .default({})
    .describe('Headers whose value is a secret. Like a login they are not sent on to another host by a redirect.'),
  clientCertificate: z
    .strictObject({
      certFile: z.string().min(1).max(1_000).describe('Certificate and those between (PEM).'),
      keyFile: z.string().min(1).max(1_000).describe('Its private key (PEM), without a passphrase.'),
    })
    .optional()
    .describe('Certificate to show to a server that asks for one. Redirects to another host are then not followed.'),
  body: z.string().max(100_000).optional().describe('Body to send.'),
  status: z
    .array(
      z.union([z.number().int().min(100).max(599), z.string().regex(statusRange, 'must be like 200, 200-299 or 2xx')]),
    )
    .min(1)
    .max(20)
    .default(['200-299'])
    .describe('Status codes that are well, single or as ranges.'),
  alsoAlive: z
    .array(z.number().int().min(100).max(599))
    .max(20)
    .default([])
    .describe('Statuses that are well whatever the answer holds, such as 401 and 403 of what asks for a login.'),
  contains: z.string().min(1).max(1_000).optional().describe('Text that the body must hold.'),
  matches: patternOption().optional().describe('Regular expression that the first 100 kB of the body must match.'),
  matchesNot: patternOption().optional().describe('Regular expression that they must not match.'),
  contentType: z.string().min(1).max(100).optional().describe('What the Content-Type must begin with.'),
  header: z
    .array(
      z.strictObject({
        name: HeaderName.describe('Name of the header.'),
        matches: patternOption()
          .optional()
          .describe('Regular expression that it must match. Absent: it must be there.'),
        absent: z.literal(true).optional().describe('It must not be there.'),
      }),
    )
    .max(20)
    .default([])
    .describe('Headers that the answer must have or must not have.'),
  json: z.array(JsonRule).max(20).default([]).describe('Values that the body, read as JSON, must have.'),
  slowAfter: Duration.optional().describe('A whole answer that takes longer is a warning. Absent: never.'),
  verySlowAfter: Duration.optional().describe('One that takes longer is critical. Absent: never.'),
  verifyTls: z.boolean().default(true).describe('Whether the certificate must be trusted and for the name.'),
  caFile: z.string().max(1_000).optional().describe('Certificates (PEM) to trust beside the usual authorities.'),
  certificate: z.boolean().default(true).describe('Whether to say as well when the certificate ends.'),
  redirects: z
    .number()
    .int()
    .min(0)
    .max(20)
    .default(5)
    .describe(
      'How many redirects to follow. A proxy that asks for a login redirects for dead services too: ask these directly, or follow none.',
    ),
  giveUpAfter: durationOr('8s').describe('How long to wait for the whole answer. Shorter than `timeout`.'),
});
export type HttpOptions = z.output<typeof HttpOptions>;

/** Whether a status is one of those wanted. */
export function statusMatcher(wanted: HttpOptions['status']): (status: number) => boolean {
  const ranges = wanted.map((entry): [number, number] => {
    if (typeof entry === 'number') return [entry, entry];
    if (entry.endsWith('xx')) return [Number(entry[0]) * 100, Number(entry[0]) * 100 + 99];
    const [from = '', to = from] = entry.split('-');
    return [Number(from), Number(to)];
  });
  return (status) => ranges.some(([from, to]) => status >= from && status <= to);
}
