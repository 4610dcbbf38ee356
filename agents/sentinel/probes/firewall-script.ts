import { asRootHead } from './as-root.ts';
import { scriptHead } from './host-answer.ts';

export const firewalls = ['ufw', 'firewalld', 'pve-firewall', 'nftables', 'iptables'] as const;
export type Firewall = (typeof firewalls)[number];

/** Read-only, every argument fixed. `-s -t`: without counters and without what sets hold. */
export const firewallCommands: Record<Firewall, string> = {
  ufw: 'ufw status verbose',
  firewalld: 'firewall-cmd --list-all-zones',
  'pve-firewall': 'pve-firewall status',
  nftables: 'nft -s -t list ruleset',
  iptables: 'iptables-save',
};

/** The argument after that of `as_root` is one of `firewalls`, or `auto`: what this host is set up with. */
export const firewallScript = String.raw`${scriptHead}${asRootHead}
chosen=$1
if [ "$chosen" = auto ]; then
  if has pve-firewall; then chosen=pve-firewall
  elif has firewall-cmd; then chosen=firewalld
  elif has ufw && grep -qs '^ENABLED=yes' /etc/ufw/ufw.conf; then chosen=ufw
  elif has nft; then chosen=nftables
  elif has iptables-save; then chosen=iptables
  elif has ufw; then chosen=ufw
  else chosen=none; fi
fi
part chosen echo "$chosen"
case $chosen in
  ufw) part settings grep -hsE '^(ENABLED|DEFAULT_INPUT_POLICY)=' /etc/ufw/ufw.conf /etc/default/ufw; part rules as_root ufw status verbose ;;
  firewalld) part running limit 4 systemctl is-active firewalld; part rules as_root firewall-cmd --list-all-zones ;;
  pve-firewall) part rules as_root pve-firewall status ;;
  nftables) part rules as_root nft -s -t list ruleset ;;
  iptables) part rules as_root iptables-save ;;
esac
`;

export const firewallEvidenceScript = String.raw`${scriptHead}
part journal limit 4 journalctl --no-pager -q -o json --since=-1d -n 20 -t ufw -t firewalld -t nft -t sudo
part files stat -c '%n changed %z by the owner %U' -- /etc/ufw/user.rules /etc/nftables.conf /etc/iptables/rules.v4 /etc/firewalld /etc/pve/firewall
`;
