import { expressionOf } from './commands.ts';

/**
 * Units that no configuration opens: without them nobody comes back in, or starting them switches the machine off.
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
