import { expressionOf } from './commands.ts';

/**
 * Units that no configuration opens: without them nobody comes back in, starting them switches the machine off, or, as
 * with our own, the run ends with its step and nobody can say how.
 */
const alwaysProtected = [
  'dbus',
  'dbus-broker',
  'systemd-*',
  'emergency',
  'rescue',
  'initrd-*',
  'init',
  'user@*',
  'getty@*',
  'lares',
  'lares-*',
] as const;

/** The names of the configuration and our own. */
export function protectedUnits(configured: readonly string[]): string[] {
  return [...new Set([...configured, ...alwaysProtected])];
}

/** The rule that protects a unit, if one does. The alias names of a unit are judged on the host. */
export function protectionOf(unit: string, rules: readonly string[]): string | undefined {
  const name = unit.replace(/\.(service|socket|timer|path)$/, '');
  return rules.find((rule) => new RegExp(`^(?:${expressionOf(rule)})$`, 'u').test(name));
}
