/** One line of /proc/mounts or /etc/fstab. */
export interface MountLine {
  source: string;
  path: string;
  type: string;
  options: string[];
}

const remote = new Set(
  'nfs nfs4 cifs smb3 fuse.sshfs sshfs glusterfs fuse.glusterfs ceph fuse.ceph davfs fuse.rclone'.split(' '),
);

/** Both files write blanks in names as `\040`. */
export function parseMountLines(text: string): MountLine[] {
  return text.split('\n').flatMap((line) => {
    const [source = '', path = '', type = '', options] = line.trim().split(/\s+/).map(unescaped);
    if (source.startsWith('#') || options === undefined || !path.startsWith('/')) return [];
    return [{ source, path: path === '/' ? path : path.replace(/\/+$/, ''), type, options: options.split(',') }];
  });
}

function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** What one mount point has to be. */
export interface WantedMount {
  path: string;
  source?: string | undefined;
  /** A file or folder below it that has to be there. */
  sentinel?: string | undefined;
  notEmpty?: boolean | undefined;
  readOnly?: boolean | undefined;
  /** It is mounted when somebody asks for it: not being there is no fault. */
  onDemand?: boolean | undefined;
}

/** The remote file systems of fstab that a boot mounts. */
export function wantedIn(fstab: string): WantedMount[] {
  const found = new Map<string, WantedMount>();
  for (const { source, path, type, options } of parseMountLines(fstab).slice(0, 500)) {
    if (!remote.has(type)) continue;
    const onDemand = options.includes('noauto') || options.some((option) => option === 'x-systemd.automount');
    found.set(path, { path, source, readOnly: options.includes('ro'), onDemand });
  }
  return [...found.values()].slice(0, 100);
}

/** `10.0.0.5:/tank`, `//nas/media`, `ada@nas:/data`: who serves it; undefined when it is not from another machine. */
export function serverOf(source: string): string | undefined {
  const match = /^(?:\/\/([^/]+)\/|(?:[^@/]*@)?\[([0-9a-fA-F:]+)\]:|(?:[^@/]*@)?([^:/]+):)/.exec(source);
  const name = match?.[1] ?? match?.[2] ?? match?.[3];
  return name !== undefined && /^[A-Za-z0-9._:-]{1,255}$/.test(name) ? name : undefined;
}
