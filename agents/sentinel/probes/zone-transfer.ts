import { z } from 'zod';
import { SecretRef } from '#config/schema.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { secretOf } from './api.ts';
import { askDns, type DnsEnd } from './dns.ts';
import { rcodeText } from './dns-record.ts';
import { DomainName } from './domain-name.ts';
import type { Endpoint } from './endpoint.ts';
import { state, unseen } from './reading.ts';
import { tsigAlgorithms, type TsigKey } from './tsig.ts';

/** A key of TSIG as `tsig-keygen`, `keymgr` and Technitium show it. */
export const TransferKey = z.strictObject({
  name: DomainName.describe('Name of the key, the same on both sides.'),
  algorithm: z.enum(tsigAlgorithms).default('hmac-sha256').describe('Its algorithm.'),
  secret: SecretRef.describe('Its secret in base64, and nothing else.'),
});
type TransferKey = z.output<typeof TransferKey>;

interface Server {
  name: string;
  endpoint: Endpoint;
}

interface Wishes {
  zone: string;
  /** With the key, where there is one. */
  allowed: readonly Server[];
  /** Without a key: so asks whoever should not get it. */
  refused: readonly Server[];
  key: TransferKey | undefined;
  giveUpAfterMs: number;
}

/** Who transfers a zone to this machine (AXFR), and whether that is wished. Only the beginning is fetched. */
export async function observeTransfers(wishes: Wishes, context: CheckContext): Promise<Observation[]> {
  const key = wishes.key === undefined ? undefined : keyOf(wishes.key, context);
  const ask = (server: Server, asked?: TsigKey): Promise<DnsEnd> =>
    askDns(
      {
        server: server.endpoint,
        transport: 'tcp',
        name: wishes.zone,
        type: 'AXFR',
        recursion: false,
        giveUpAfterMs: wishes.giveUpAfterMs,
        ...(asked !== undefined && { key: asked }),
      },
      context,
    );
  const { zone } = wishes;
  return Promise.all([
    ...wishes.allowed.map(async ({ name, ...server }) => {
      const end: DnsEnd = typeof key === 'string' ? { is: 'unable', reason: key } : await ask({ name, ...server }, key);
      return judge(end, { zone, server: name, isAllowed: true });
    }),
    ...wishes.refused.map(async (server) => judge(await ask(server), { zone, server: server.name, isAllowed: false })),
  ]);
}

/** The key, or why there is none. */
function keyOf({ name, algorithm, secret: ref }: TransferKey, context: CheckContext): TsigKey | string {
  const secret = secretOf(ref, context);
  if (!secret.ok) return secret.reason;
  const text = secret.value.trim();
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return `the secret of the key "${name}" is not base64`;
  return { name, algorithm, secret: Buffer.from(text, 'base64') };
}

function judge(end: DnsEnd, of: { zone: string; server: string; isAllowed: boolean }): Observation {
  const { zone, server, isAllowed } = of;
  const said = {
    condition: isAllowed ? 'zone-transfer-refused' : 'zone-transfer-open',
    resource: `${zone} @${server}`,
    labels: { zone, server },
  };
  // A server may refuse a transfer by hanging up; one that cannot be reached at all shows as `zone-not-served`.
  if (end.is !== 'answered') return unseen(said, end.reason);
  const refusal = refusalOf(end);
  const told = refusal === undefined ? 'transfers' : `does not transfer (${refusal})`;
  const isOpen = refusal === undefined;
  return state({
    ...said,
    summary: `${server} ${told} ${zone} to this machine${end.signature === undefined ? '' : ' with the key'}`,
    ok: isOpen === isAllowed,
    severity: 'warning',
  });
}

/** Why this answer is no beginning of a transfer that may be trusted. */
function refusalOf({ message, signature }: Extract<DnsEnd, { is: 'answered' }>): string | undefined {
  if (signature?.is === 'refused') return signature.error;
  // A transfer begins with the zone's SOA (RFC 5936, section 2.2).
  if (message.rcode !== 'NOERROR' || message.answers?.[0]?.type !== 'SOA') return rcodeText(message.rcode);
  return signature?.is === 'unproven' ? 'its answer is not signed with the key' : undefined;
}
