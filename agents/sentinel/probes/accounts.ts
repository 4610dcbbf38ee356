export interface Account {
  name: string;
  uid: number;
  gid: number;
  shell: string;
}

/** As `passwd -S` prints it: `P` usable, `NP` none, `L` locked; never a hash. */
interface PasswordState {
  name: string;
  state: string;
  /** Days until it must be changed; -1 or 99999: never. */
  maximumDays: number;
}

const maximumAccounts = 2_000;

export function parsePasswd(text: string): Account[] {
  return text
    .split('\n')
    .slice(0, maximumAccounts)
    .flatMap((line) => {
      const [name = '', , uid = '', gid = '', , , shell = ''] = line.split(':');
      if (!/^\d+$/.test(uid) || !/^\d+$/.test(gid) || name === '' || name.startsWith('+')) return [];
      return [{ name, uid: Number(uid), gid: Number(gid), shell }];
    });
}

/** The members of the asked groups, those with it as their first group included: `docker/bob`. */
export function parseMembers(text: string, of: { groups: readonly string[]; accounts: readonly Account[] }): string[] {
  return text.split('\n').flatMap((line) => {
    const [group = '', , gid = '', members = ''] = line.split(':');
    if (!of.groups.includes(group)) return [];
    const first = of.accounts.filter((account) => String(account.gid) === gid).map(({ name }) => name);
    const all = new Set([...members.split(',').filter((name) => name !== ''), ...first]);
    return [...all].filter((name) => name !== group).map((name) => `${group}/${name}`);
  });
}

/** A shell that lets somebody in. Empty means /bin/sh. */
export function canLogIn(account: Account): boolean {
  return !/\/(?:nologin|false|sync|shutdown|halt|git-shell|rssh)$/.test(account.shell);
}

/** `alice P 2026-01-02 0 99999 7 -1` (shadow-utils, Debian) or `alice PS 2026-01-02 ...`. */
export function parsePasswordStates(text: string): PasswordState[] {
  return text.split('\n').flatMap((line) => {
    const [, name, state, maximum] = /^(\S+) (P|PS|NP|L|LK) \S+ -?\d+ (-?\d+) /.exec(line) ?? [];
    return name === undefined || state === undefined ? [] : [{ name, state, maximumDays: Number(maximum) }];
  });
}

/** `find -print -exec ssh-keygen -lf`: a path, then a line for each of its keys; the comment of a key is its owner's text. */
export function parseKeys(text: string): Map<string, string> {
  const keys = new Map<string, string>();
  let path: string | undefined;
  for (const line of text.split('\n')) {
    const [, size, fingerprint, kind] =
      /^(\d{3,5}) (SHA256:[A-Za-z0-9+/]{40,50}) .*\(([A-Z0-9-]{2,20})\)$/.exec(line) ?? [];
    if (fingerprint !== undefined && path !== undefined) keys.set(`${path} ${fingerprint}`, `${kind} ${size}`);
    else if (/^\/\S.{0,300}authorized_keys/.test(line) && !/ is not a public key file|: /.test(line)) path = line;
  }
  return keys;
}

/** Mode, owner and content of each file of sudo, by its path. */
export function parseSudoers(modes: string, sums: string): Map<string, string> {
  const contents = new Map<string, string>();
  for (const line of sums.split('\n')) {
    const [, sum, path] = /^([0-9a-f]{64}) [ *](\/.{1,300})$/.exec(line) ?? [];
    if (sum !== undefined && path !== undefined) contents.set(path, sum.slice(0, 12));
  }
  return new Map(
    modes.split('\n').flatMap((line) => {
      const [, mode, owner, path] = /^([0-7]{3,4}):([^:]{1,64}):(\/.{1,300})$/.exec(line) ?? [];
      return path === undefined ? [] : [[path, `${mode} ${owner} ${contents.get(path) ?? '?'}`] as const];
    }),
  );
}
