import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { KeyObject } from 'node:crypto';
import { messageOf } from '#bus/failure.ts';
import { keyIdOf, loadPublicKey } from '#bus/keys.ts';
import type { TrustedKeys } from '#bus/sign.ts';
import type { Config } from '#config/schema.ts';
import type { Log } from '#agents/runtime/log.ts';

/** The signers of one machine, by the names under which the agents keep their keys. */
const ownSigners = ['triage', 'console'] as const;
type OwnSigner = (typeof ownSigners)[number];

interface KeyPlaces {
  config: Config;
  keysFolder: string;
  baseFolder: string;
}

/** Where the worker looks for the keys of others: what is put there counts from the next approval on. */
export function placesOfKeys({ config, keysFolder, baseFolder }: KeyPlaces): Record<OwnSigner, string> {
  const place = (signer: OwnSigner): string => {
    const named = config.remediation.signers.find(({ name }) => name === signer);
    return named === undefined ? join(keysFolder, `${signer}.pub`) : resolve(baseFolder, named.publicKeyFile);
  };
  return { triage: place('triage'), console: place('console') };
}

/** The public keys whose approvals count. One that cannot be read is left out and logged: it then counts for nobody. */
export function readTrustedKeys(of: KeyPlaces & { log: Log }): TrustedKeys {
  const own = ownSigners.map((name) => join(of.keysFolder, `${name}.pub`)).filter((file) => existsSync(file));
  const files = [
    ...own,
    ...of.config.remediation.signers.map(({ publicKeyFile }) => resolve(of.baseFolder, publicKeyFile)),
  ];
  const keys = new Map<string, KeyObject>();
  for (const file of files) {
    try {
      const key = loadPublicKey(file);
      keys.set(keyIdOf(key), key);
    } catch (error) {
      of.log.error({ file, reason: messageOf(error) }, 'a signer of approvals cannot be used');
    }
  }
  return keys;
}
