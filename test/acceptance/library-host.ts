import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Authority } from '../parts/certificates.ts';
import type { Play, PlayOptions } from './play.ts';

/** Runs a script as root on the host. */
export type HostScript = (script: string) => Promise<string>;

const dayMs = 86_400_000;

/** Each login runs what was approved: root, or one that may only do by sudo what the guide says. */
export const logins = ['root', 'lares'] as const;

export function as(login: (typeof logins)[number], config: Record<string, unknown>): PlayOptions {
  return { actAs: login, host: { sudo: login !== 'root' }, config };
}

export function checkOf(kind: string, options: Record<string, unknown>): Record<string, unknown> {
  return { id: kind, kind, host: 'web', every: '1s', for: '1s', clearAfter: 1, ...options };
}

/** Waits for the card, approves and waits until it is fixed. */
export async function fix(play: Play, about: string, commands: readonly string[]): Promise<void> {
  const card = await play.proposal(about);
  for (const command of commands) expect(card.text).toContain(command);
  expect((await play.approve(card).answered).text).toContain('Approved');
  await play.fixed(card, 120_000);
}

/** Lets the login `lares` do what the guide for authors of playbooks says, and nothing else. */
export async function allowSudo(run: HostScript): Promise<void> {
  const guide = readFileSync(join(import.meta.dirname, '../../playbooks/README.md'), 'utf8');
  const lines = (/```sudoers\n([^]*?)```/.exec(guide)?.[1] ?? '').replaceAll('lares-act', 'lares');
  await run(`${fileOf('/etc/sudoers.d/lares', lines)}chmod 440 /etc/sudoers.d/lares; visudo -c`);
}

export async function usedPercent(run: HostScript): Promise<number> {
  return Number.parseInt((await run('df --output=pcent / | tail -1')).trim(), 10);
}

/** Every file of the filesystem with size and time, but what the playbook names and what systems write all the time. */
export function otherFiles(run: HostScript): Promise<string> {
  return run(`
find / -xdev -type f ! -path '/var/log/*' ! -path '/var/cache/apt/*' ! -path '/tmp/*' ! -path '/root/.*' ! -path '/home/*' \
  ! -path '/etc/systemd/system/shop*' ! -path '/var/lib/systemd/*' -printf '%p %s %T@\\n' | sort | sha256sum
ls -l /var/log | grep -v -e journal -e starts | wc -l`);
}

/** A journal of some 300 MB in true files, packages of 150 MB, and the rest of the disk. */
export async function fillDisk(run: HostScript): Promise<void> {
  await run(`
rm -f /var/filler
mkdir -p /var/log/journal /etc/systemd/journald.conf.d
printf '[Journal]\\nStorage=persistent\\nSystemMaxUse=600M\\nSystemKeepFree=1M\\nRateLimitBurst=0\\nSystemMaxFileSize=16M\\n' > /etc/systemd/journald.conf.d/lab.conf
systemctl restart systemd-journald; journalctl --flush
head -c 12M /dev/urandom | base64 -w 500 | systemd-cat
journalctl --sync; journalctl --rotate
cd /var/log/journal/*/
archived=$(ls -S | grep '^system@' | head -1)
id=\${archived%%-*}; end=\${archived#*-}; end=\${end#*-}
for number in $(seq 1 24); do [ $(du -sm . | cut -f1) -gt 300 ] || cp "$archived" "$id-$(printf %016x $number)-$end"; done
mkdir -p /var/cache/apt/archives
fallocate -l 150M /var/cache/apt/archives/filler_1.0_amd64.deb
free=$(df --output=avail -m / | tail -1)
fallocate -l $((free - 60))M /var/filler`);
}

/** nginx with a certificate that soon ends, a new one beside it, and a file that takes seconds. */
export async function startNginx(run: HostScript, authority: Authority): Promise<void> {
  const name = 'shop.example.org';
  const now = Date.now();
  const old = authority.issue({ name, notBefore: now - 85 * dayMs, notAfter: now + 5 * dayMs });
  const fresh = authority.issue({ name });
  await run(`
cd /etc/nginx && rm -f conf.d/wrong.conf
${fileOf('site.pem', old.cert)}${fileOf('site.key', old.key)}${fileOf('new.pem', fresh.cert)}${fileOf('new.key', fresh.key)}
[ -e /var/www/html/big ] || head -c 2M /dev/urandom > /var/www/html/big
${fileOf(
  'conf.d/shop.conf',
  `server { listen 443 ssl; server_name ${name}; root /var/www/html;
  ssl_certificate /etc/nginx/site.pem; ssl_certificate_key /etc/nginx/site.key; }
`,
)}
systemctl restart nginx`);
}

function fileOf(name: string, text: string): string {
  return `cat > ${name} <<'END'\n${text.trimEnd()}\nEND\n`;
}

export async function workerPids(run: HostScript): Promise<string[]> {
  const all = await run(`ps -C nginx -o pid=,args= | grep 'worker process$' | awk '{ print $1 }'`);
  return all.trim().split('\n');
}

export async function makeOldFiles(run: HostScript): Promise<void> {
  await run(`
umount /srv/cache/mounted 2>/dev/null; rm -rf /srv/*
mkdir -p /srv/cache/deep/er /srv/cache/mounted /srv/keep
mount -t tmpfs none /srv/cache/mounted
cd /srv/cache
touch old deep/er/old $'odd\\nname old' ./-rf '{path}' young $'odd\\\\nname young' mounted/old ../keep/old
mkfifo pipe; ln -s ../keep/old to-file; ln -s ../keep link; ln -s cache ../link
touch -d '40 days ago' old deep/er/old $'odd\\nname old' ./-rf '{path}' mounted/old ../keep/old pipe
touch -h -d '40 days ago' to-file link`);
}
