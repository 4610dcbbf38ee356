import { readFile } from 'node:fs/promises';
import type { ConnectConfig } from 'ssh2';
import { messageOf } from '#bus/failure.ts';
import { loadSsh } from './ssh-library.ts';

type SshCredentials =
  | { ok: true; config: Pick<ConnectConfig, 'privateKey' | 'passphrase' | 'agent'> }
  | { ok: false; reason: string };

/** Read at each connect, so that a rotated key works without a restart. Nothing of the key is ever in a reason. */
export async function readCredentials(login: {
  keyFile?: string | undefined;
  passphraseFile?: string | undefined;
}): Promise<SshCredentials> {
  if (login.keyFile === undefined) return fromAgent(process.env['SSH_AUTH_SOCK']);
  try {
    const privateKey = await readFile(login.keyFile);
    const passphrase =
      login.passphraseFile === undefined ? undefined : (await readFile(login.passphraseFile, 'utf8')).trimEnd();
    const { utils } = await loadSsh();
    const parsed: unknown = utils.parseKey(privateKey, passphrase);
    if (parsed instanceof Error) {
      return { ok: false, reason: `cannot use key file "${login.keyFile}": ${parsed.message}` };
    }
    return { ok: true, config: { privateKey, ...(passphrase !== undefined && { passphrase }) } };
  } catch (error) {
    return { ok: false, reason: `cannot read the key of the login: ${messageOf(error)}` };
  }
}

function fromAgent(socket: string | undefined): SshCredentials {
  if (socket === undefined || socket === '') {
    return { ok: false, reason: 'no key: the login names no keyFile and there is no agent at SSH_AUTH_SOCK' };
  }
  return { ok: true, config: { agent: socket } };
}
