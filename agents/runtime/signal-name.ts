import { constants } from 'node:os';

/** The host names the signal that ended a command, and the name is shown to people: any other text is none. */
export function signalName(said: string | undefined): string {
  return said !== undefined && Object.hasOwn(constants.signals, said) ? said : 'an unknown signal';
}
