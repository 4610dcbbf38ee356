import { z } from 'zod';
import type { SecretRef } from '#config/schema.ts';
import type { CheckContext } from '#agents/sentinel/check.ts';
import { type ApiAnswer, type ApiCall, type ApiFault, type ApiOptions, createApi, secretOf } from './api.ts';
import { jsonOf, oneLine } from './text.ts';

/** Proxmox holds back each refusal of a login for 3 s, so what took less was not waited for. */
const refusalDelayMs = 3_000;
/** What is left of the look is for judging. */
const shareOfTimeout = 0.85;
/** pveproxy's own words for "the node behind me did not answer": connection failed, connection timed out. */
const proxiedNodeSilent = new Set([595, 596]);

interface ProxmoxApiOptions extends ApiOptions {
  otherUrls?: readonly string[];
  token: SecretRef;
}

/** The read side of a Proxmox API (VE or Backup Server): the envelope taken off, refusals explained. */
export interface ProxmoxApi {
  get<T>(schema: z.ZodType<T>, path: string, query?: ApiCall['query']): Promise<ApiAnswer<T>>;
}

interface Product {
  name: string;
  /** What a whole token looks like, as the product shows it once. */
  token: { pattern: RegExp; looks: string };
  authorization: (token: string) => string;
  /** The command that gives a token what it lacks. */
  grant: (lacking: { path: string; privilege: string; token: string }) => string;
}

const virtualEnvironment: Product = {
  name: 'Proxmox VE',
  token: { pattern: /^([^\s@!='"]+@[^\s@!='"]+![\w.-]+)=\S+$/, looks: 'USER@REALM!TOKENID=UUID' },
  authorization: (token) => `PVEAPIToken=${token}`,
  grant: ({ path, privilege, token }) => {
    const isAudit = privilege.endsWith('.Audit');
    const role = isAudit ? 'PVEAuditor' : `Lares${privilege.replaceAll(/[^A-Za-z]/g, '')}`;
    const make = isAudit ? '' : `pveum role add ${role} --privs ${privilege}; `;
    return `${make}pveum acl modify ${isAudit ? '/' : path} --tokens '${token}' --roles ${role}`;
  },
};

const backupServer: Product = {
  name: 'Proxmox Backup Server',
  token: { pattern: /^([^\s@!:'"]+@[^\s@!:'"]+![\w.-]+):\S+$/, looks: 'USER@REALM!NAME:SECRET' },
  authorization: (token) => `PBSAPIToken=${token}`,
  grant: ({ token }) => auditCommand(token),
};

/** The Backup Server refuses in plain words that name no privilege; this role holds all that is needed to look. */
function auditCommand(token: string): string {
  return `proxmox-backup-manager acl update / Audit --auth-id '${token}'`;
}

/** Several addresses of one cluster are asked in turn: any node answers for all of them. */
export function createVeApi(options: ProxmoxApiOptions, context: CheckContext): ProxmoxApi {
  return createProxmoxApi(options, context, virtualEnvironment);
}

export function createBackupApi(options: ProxmoxApiOptions, context: CheckContext): ProxmoxApi {
  return createProxmoxApi(options, context, backupServer);
}

function createProxmoxApi(options: ProxmoxApiOptions, context: CheckContext, product: Product): ProxmoxApi {
  const endsAt = context.clock.now() + context.timeoutMs * shareOfTimeout;
  const secret = secretOf(options.token, context);
  const tokenId = secret.ok ? product.token.pattern.exec(secret.value)?.[1] : undefined;
  let urls = [options.url, ...(options.otherUrls ?? [])];

  /** Asks the first address that answers, and from then on that one. */
  const ask = async <T>(schema: z.ZodType<T>, call: ApiCall): Promise<ApiAnswer<T>> => {
    let last: ApiAnswer<T> = { is: 'unable', reason: 'the time of the look was used up' };
    for (const [index, url] of urls.entries()) {
      const leftMs = endsAt - context.clock.now();
      if (leftMs <= 0) break;
      const timeoutMs = leftMs / (urls.length - index);
      last = await createApi({ ...options, url }, { ...context, timeoutMs }).json(schema, call);
      if (last.is === 'silent') continue;
      urls = [url];
      break;
    }
    return last;
  };

  return {
    async get(schema, path, query) {
      if (!secret.ok) return { is: 'unable', reason: secret.reason };
      if (tokenId === undefined) {
        return { is: 'unable', reason: `the token must be the whole text that was shown once: ${product.token.looks}` };
      }
      const answer = await ask(z.object({ data: schema }), {
        path: `/api2/json${path}`,
        headers: { authorization: product.authorization(secret.value) },
        ...(query !== undefined && { query }),
      });
      if (answer.is === 'value') return { ...answer, value: answer.value.data };
      return explained(answer, { product, tokenId, timeoutMs: context.timeoutMs });
    },
  };
}

function explained(fault: ApiFault, of: { product: Product; tokenId: string; timeoutMs: number }): ApiFault {
  if (fault.is === 'silent' && fault.reason === 'no answer in time' && of.timeoutMs < refusalDelayMs * 1.5) {
    const wait = 'it holds back the refusal of a login for 3 s';
    return { is: 'unable', reason: `no answer in time, and ${wait}: give the check a timeout of 5s or more` };
  }
  if (fault.is !== 'refused') return fault;
  if (proxiedNodeSilent.has(fault.status)) {
    return { ...fault, reason: `the node does not answer its cluster (${fault.status})` };
  }
  if (fault.status === 401) {
    return { ...fault, reason: `it does not accept the token "${oneLine(of.tokenId, 80)}" (401)` };
  }
  const message = messageIn(fault.body);
  const lacking = fault.status === 403 ? lackingIn(message) : undefined;
  if (lacking === undefined) {
    const hint = fault.status === 403 && of.product === backupServer ? `; as root: ${auditCommand(of.tokenId)}` : '';
    return { ...fault, reason: `${message === '' ? fault.reason : `"${oneLine(message, 160)}"`}${hint}` };
  }
  const grant = of.product.grant({ ...lacking, token: of.tokenId });
  return { ...fault, reason: `the token lacks ${lacking.privilege} on ${lacking.path}; as root: ${grant}` };
}

/** Whether the node that a call was passed on to did not answer, while the one that was asked did. */
export function isProxiedSilence(answer: ApiAnswer<unknown>): boolean {
  return answer.is === 'refused' && proxiedNodeSilent.has(answer.status);
}

function messageIn(body: string): string {
  const value = jsonOf(body);
  if (value === null || typeof value !== 'object' || !('message' in value)) return '';
  return typeof value.message === 'string' ? value.message.trim() : '';
}

/** `Permission check failed (/nodes/pve1, Sys.Modify)`; where one of several would do, the first is named. */
function lackingIn(message: string): { path: string; privilege: string } | undefined {
  const [, path, privilege] = /\((\/[\w./-]{0,120}), ?([A-Z][A-Za-z.]{2,40})(?:\|[A-Za-z.|]*)?\)/.exec(message) ?? [];
  return path === undefined || privilege === undefined ? undefined : { path, privilege };
}
