import { oneLine } from './text.ts';

/** A network adapter as /sys/class/net shows it. */
export interface NetworkLink {
  name: string;
  /** It has hardware, not a bridge, a veth or a tunnel. */
  isPhysical: boolean;
  isWireless: boolean;
  /** Switched on by whoever runs the host (IFF_UP). */
  isOn: boolean;
  /** It has a partner on the other end of the cable. */
  hasCarrier: boolean;
  /** Mb/s. Absent: it tells none, as without a cable. */
  speed?: number;
  duplex?: 'full' | 'half';
  /** Since boot. */
  carrierChanges?: number;
  errors?: number;
}

const maximumLinks = 200;

/** `name|physical|wireless|flags|operstate|carrier|speed|duplex|changes|rx_errors|tx_errors`, `-` for what is not told. */
export function parseLinks(lines: readonly string[]): NetworkLink[] {
  return lines.slice(0, maximumLinks).flatMap((line) => parseLink(line.split('|')) ?? []);
}

function parseLink(columns: readonly string[]): NetworkLink | undefined {
  const [name = '', physical, wireless, flags = '', operstate, carrier, speed, duplex, ...counters] = columns;
  // The kernel allows 15 characters, none of them a slash or a blank.
  if (!/^[^\s/|]{1,15}$/.test(name) || counters.length !== 3 || !/^0x[0-9a-f]+$/.test(flags)) return undefined;
  const [changes, received, sent] = counters.map(numberIn);
  return {
    name: oneLine(name, 40),
    isPhysical: physical === 'yes',
    isWireless: wireless === 'yes',
    isOn: (Number(flags) & 1) === 1,
    // "unknown" is what drivers of tunnels and of some adapters say that have a carrier.
    hasCarrier: carrier === '1' || operstate === 'up',
    ...speedIn(speed),
    ...((duplex === 'full' || duplex === 'half') && { duplex }),
    ...(changes !== undefined && { carrierChanges: changes }),
    ...(received !== undefined && sent !== undefined && { errors: received + sent }),
  };
}

/** -1 and 4294967295 are what drivers say without a partner. */
function speedIn(text: string | undefined): Pick<NetworkLink, 'speed'> {
  const speed = numberIn(text) ?? 0;
  return speed > 0 && speed < 4_294_967_295 ? { speed } : {};
}

function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** `2.5 Gb/s`, `100 Mb/s`. */
export function speedText(megabits: number): string {
  return megabits >= 1_000 ? `${megabits / 1_000} Gb/s` : `${megabits} Mb/s`;
}
