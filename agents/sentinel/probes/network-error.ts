import { messageOf } from '#bus/failure.ts';
import { oneLine } from './text.ts';

/** Why a connection or an exchange failed, in words that stay the same over Node and undici. */
export type NetworkCause = 'dns' | 'refused' | 'unreachable' | 'reset' | 'tls' | 'timeout' | 'protocol' | 'ours';

interface NetworkError {
  /** `ours`: this machine could not ask (no file descriptors, no route, its resolver is silent): nothing is known. */
  cause: NetworkCause;
  text: string;
}

const causes: Record<string, NetworkCause> = {
  ENOTFOUND: 'dns',
  ENODATA: 'dns',
  ESERVFAIL: 'dns',
  ECONNREFUSED: 'refused',
  EHOSTUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ECONNABORTED: 'reset',
  UND_ERR_SOCKET: 'reset',
  ETIMEDOUT: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  EPROTO: 'tls',
  UND_ERR_HEADERS_OVERFLOW: 'protocol',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'protocol',
  // The resolver that this machine uses did not answer; the name may be fine.
  EAI_AGAIN: 'ours',
  EMFILE: 'ours',
  ENFILE: 'ours',
  ENOBUFS: 'ours',
  ENOMEM: 'ours',
  EADDRNOTAVAIL: 'ours',
  ENETUNREACH: 'ours',
  ENETDOWN: 'ours',
  EACCES: 'ours',
  EPERM: 'ours',
  UND_ERR_INVALID_ARG: 'ours',
};

const texts: Record<NetworkCause, string> = {
  dns: 'the name does not resolve',
  refused: 'connection refused',
  unreachable: 'no route to the host',
  reset: 'the connection was reset',
  tls: 'TLS failed',
  timeout: 'no answer in time',
  protocol: 'the answer is not HTTP',
  ours: 'this machine could not ask',
};

export function classifyNetworkError(error: unknown): NetworkError {
  const code = codeOf(error);
  const cause = causes[code] ?? (isTls(code) ? 'tls' : code.startsWith('HPE_') ? 'protocol' : undefined);
  if (cause === undefined) return { cause: 'protocol', text: oneLine(messageOf(error), 200) };
  const detail = cause === 'tls' || cause === 'ours' ? `: ${oneLine(messageOf(error), 160)}` : '';
  return { cause, text: `${texts[cause]}${detail}` };
}

/** Codes of Node's TLS (`ERR_TLS_...`, `ERR_SSL_...`) and of OpenSSL's verification, https://docs.openssl.org. */
function isTls(code: string): boolean {
  return (
    /^ERR_(?:TLS|SSL|OSSL)_/.test(code) ||
    /CERT|SELF_SIGNED|UNABLE_TO_|CRL|HOSTNAME_MISMATCH|INVALID_(?:CA|PURPOSE)/.test(code)
  );
}

/** The code of an error, of its cause, or of the last address that was tried. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  if (error.name === 'HTTPParserError') return 'HPE_ERROR';
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors.at(-1));
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  // "other side closed" has the cause in `code`; a wrapped error has it one level down.
  if (code !== '' || error.cause === undefined) return code;
  return codeOf(error.cause);
}
