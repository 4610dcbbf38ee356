import { oneLine } from './text.ts';

/** A program that can say whether its configuration would load, and changes nothing by it. */
interface ConfigProgram {
  /** The unit that reads it; a label for people and playbooks. */
  unit: string;
  /** Whole path for sudo, as Debian has it. Fixed arguments; a file of one's own comes last. */
  command: string;
  args: readonly string[];
  /** Where the configuration is, when the command has to be told. */
  file?: string;
  /** An ordinary login can read neither keys nor the whole configuration. */
  wantsRoot: boolean;
}

export const configPrograms = {
  nginx: { unit: 'nginx.service', command: '/usr/sbin/nginx', args: ['-t', '-q'], wantsRoot: true },
  apache: { unit: 'apache2.service', command: '/usr/sbin/apache2ctl', args: ['configtest'], wantsRoot: true },
  // "validate" would load every module and open certificates; "adapt" only reads.
  caddy: {
    unit: 'caddy.service',
    command: '/usr/bin/caddy',
    args: ['adapt', '--config'],
    file: '/etc/caddy/Caddyfile',
    wantsRoot: false,
  },
  haproxy: {
    unit: 'haproxy.service',
    command: '/usr/sbin/haproxy',
    args: ['-c', '-q', '-f'],
    file: '/etc/haproxy/haproxy.cfg',
    wantsRoot: true,
  },
  bind: { unit: 'named.service', command: '/usr/bin/named-checkconf', args: ['-z'], wantsRoot: true },
  unbound: { unit: 'unbound.service', command: '/usr/sbin/unbound-checkconf', args: [], wantsRoot: true },
  sshd: { unit: 'ssh.service', command: '/usr/sbin/sshd', args: ['-t'], wantsRoot: true },
  sudo: { unit: '', command: '/usr/sbin/visudo', args: ['-c', '-q'], wantsRoot: true },
  prometheus: {
    unit: 'prometheus.service',
    command: '/usr/bin/promtool',
    args: ['check', 'config'],
    file: '/etc/prometheus/prometheus.yml',
    wantsRoot: false,
  },
  alertmanager: {
    unit: 'prometheus-alertmanager.service',
    command: '/usr/bin/amtool',
    args: ['check-config'],
    file: '/etc/prometheus/alertmanager.yml',
    wantsRoot: false,
  },
} as const satisfies Record<string, ConfigProgram>;
export type ConfigProgramName = keyof typeof configPrograms;

export function configProgram(name: ConfigProgramName): ConfigProgram {
  return configPrograms[name];
}

/** The commands as sudoers gets them, with the usual files. */
export function configCommands(): string[] {
  return Object.values(configPrograms).map((program: ConfigProgram) =>
    [program.command, ...program.args, ...(program.file === undefined ? [] : [program.file])].join(' '),
  );
}

/** Noise of tools that say more than what is wrong, and of `sh` and `timeout` around them. */
const noise = /^\s*$|^Checking (?!.*FAILED)|^\s*SUCCESS|^zone \S+: loaded serial|^AH00558|^\{/;

/** What is wrong, worst lines first: errors, then warnings. Bounded; the rest is left out. */
export function complaintsIn(text: string): { errors: string[]; warnings: string[] } {
  const lines = text
    .split('\n')
    .filter((line) => !noise.test(line))
    .slice(0, 200)
    .map((line) => oneLine(line, 300));
  const isWarning = (line: string): boolean => /\[warn\]|\bwarn(?:ing)?\b/i.test(line);
  return { errors: lines.filter((line) => !isWarning(line)), warnings: lines.filter(isWarning) };
}
