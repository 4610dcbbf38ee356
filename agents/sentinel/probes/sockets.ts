/** A socket that waits for others: a TCP listener or an unconnected UDP socket. */
export interface Socket {
  protocol: 'tcp' | 'udp';
  /** As the tool prints it, without brackets and interface; `*` for any. */
  address: string;
  port: number;
  /** Whether only this machine reaches it. */
  isLocal: boolean;
  /** Of others' sockets known only to root. */
  process?: string;
  pid?: number;
  /** The systemd unit of its control group, which the kernel tells everybody. */
  unit?: string;
}

const maximumSockets = 5_000;
const ssLine = /^(tcp|udp)\s+(?:LISTEN|UNCONN)\s+\d+\s+\d+\s+(\S+):(\d+)\s+\S+(.*)$/;
const ssProcess = /users:\(\("((?:[^"\\]|\\.)*)",pid=(\d+)/;
const cgroupUnit = /cgroup:\S*?\/([A-Za-z0-9:_.@\\-]+\.(?:service|scope|socket))(?:\/\S*)?(?:\s|$)/;

/** `ss -Hltnup`, with or without `--cgroup`, or after `proc tcp` and the like the kernel's tables where there is no `ss`. */
export function parseSockets(text: string): Socket[] {
  const found: Socket[] = [];
  let table: string | undefined;
  for (const line of text.split('\n')) {
    const heading = /^proc (tcp6?|udp6?)$/.exec(line)?.[1];
    if (heading !== undefined) {
      table = heading;
      continue;
    }
    const socket = table === undefined ? fromSs(line) : fromProc(table, line);
    if (socket !== undefined && found.length < maximumSockets) found.push(socket);
  }
  return found;
}

function fromSs(line: string): Socket | undefined {
  const match = ssLine.exec(line);
  if (match === null) return undefined;
  const [, protocol, address = '', port, rest = ''] = match;
  const owner = ssProcess.exec(rest);
  const unit = cgroupUnit.exec(rest)?.[1];
  return {
    protocol: protocol === 'tcp' ? 'tcp' : 'udp',
    address: address.replaceAll(/[[\]]|%.*$/g, ''),
    port: Number(port),
    isLocal: isLoopback(address),
    ...(owner?.[1] !== undefined && { process: owner[1], pid: Number(owner[2]) }),
    ...(unit !== undefined && { unit }),
  };
}

function isLoopback(address: string): boolean {
  const bare = address.replaceAll(/[[\]]|%.*$/g, '');
  return bare.startsWith('127.') || bare === '::1' || bare.startsWith('::ffff:127.') || /%lo\b/.test(address);
}

/** `  0: 0100007F:0277 00000000:0000 0A ...`: addresses as little-endian words, state 0A is LISTEN, 07 unconnected UDP. */
function fromProc(table: string, line: string): Socket | undefined {
  const match = /^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) /.exec(line);
  if (match === null) return undefined;
  const protocol = table.startsWith('tcp') ? 'tcp' : 'udp';
  if (match[3] !== (protocol === 'tcp' ? '0A' : '07')) return undefined;
  const words = match[1] ?? '';
  const isLocal =
    words.length === 8
      ? words.endsWith('7F')
      : words === '00000000000000000000000001000000' || /^0{16}FFFF0000.{6}7F$/.test(words);
  return { protocol, address: addressOf(words), port: parseInt(match[2] ?? '', 16), isLocal };
}

function addressOf(words: string): string {
  if (/^0+$/.test(words)) return '*';
  if (words.length !== 8) return words.toLowerCase();
  return [6, 4, 2, 0].map((at) => parseInt(words.slice(at, at + 2), 16)).join('.');
}
