import ssh2 from 'ssh2';

/** A new ed25519 key pair in OpenSSH's format. One in 256 of ssh2 1.17 cannot be read: it drops a zero that leads. */
export function newKeyPair(): { private: string; public: string } {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519');
    if (!(ssh2.utils.parseKey(pair.private) instanceof Error)) return pair;
  }
}
