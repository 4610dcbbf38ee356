import { isIPv6 } from 'node:net';
import { z } from 'zod';

/** A server as people write it. */
export interface Endpoint {
  address: string;
  port: number;
}

const form = /^(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^\s:[\]/]+))(?::(\d{1,5}))?$/;

/** `10.0.0.53`, `dns.lan:5353`, `fd00::53` or `[fd00::53]:5353`; undefined when it is none of them. */
export function parseEndpoint(text: string, defaultPort: number): Endpoint | undefined {
  if (isIPv6(text)) return { address: text, port: defaultPort };
  const match = form.exec(text);
  const address = match?.[1] ?? match?.[2];
  if (match === null || address === undefined || address.startsWith('-')) return undefined;
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  return port >= 1 && port <= 65_535 ? { address, port } : undefined;
}

/** A server in the configuration, with or without a port. */
export function endpointOption() {
  return z
    .string()
    .max(255)
    .refine((text) => parseEndpoint(text, 1) !== undefined, {
      error: 'must be a name or an address, with or without a port: 10.0.0.53, dns.lan:5353, [fd00::53]:53',
    });
}

export function endpointText({ address, port }: Endpoint): string {
  return `${isIPv6(address) ? `[${address}]` : address}:${port}`;
}
