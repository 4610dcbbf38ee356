import { isIP } from 'node:net';
import type { HttpAnswer, HttpHead } from '#agents/runtime/http.ts';

/**
 * Why a request is refused that a web page may have made. A browser of the house reaches this listener, and a page from
 * anywhere could call a job well that never ran. `address` is what the listener is configured to listen on.
 */
export function refusePages({ headers }: Pick<HttpHead, 'headers'>, address: string): HttpAnswer | undefined {
  if (headers.host !== undefined && !isOurs(headers.host, address)) {
    return { status: 421, body: 'not for this host: use an IP address, localhost or the name in http.address' };
  }
  // `none` is an address that somebody typed; everything else with this header is a page's doing.
  const site = headers['sec-fetch-site'] ?? 'none';
  return headers.origin !== undefined || site !== 'none' ? { status: 403, body: 'not from a web page' } : undefined;
}

/** A name that the world resolves to this machine (DNS rebinding) is none of ours. */
function isOurs(host: string, address: string): boolean {
  const url = URL.parse(`http://${host}`);
  if (url === null || url.host === '' || url.pathname !== '/') return false;
  const name = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  return name === 'localhost' || name === address.toLowerCase() || isIP(name) !== 0;
}
