import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';

interface Fleet {
  folder: string;
  /** Port of the target on loopback. */
  port: number;
  hosts: number;
  checks: number;
  every: string;
  kinds: readonly ('http' | 'tcp')[];
}

/** Writes `lares.yaml`: so many hosts, and checks of the kinds in turn, all against one target. */
export function writeFleet(fleet: Fleet): string {
  const { port, every, kinds } = fleet;
  const hosts = Array.from({ length: fleet.hosts }, (_, index) => [`h${index}`, { address: '127.0.0.1' }]);
  const checks = Array.from({ length: fleet.checks }, (_, index) => ({
    id: `c${index}`,
    host: `h${index % fleet.hosts}`,
    every,
    ...(kinds[index % kinds.length] === 'tcp'
      ? { kind: 'tcp', address: '127.0.0.1', port }
      : { kind: 'http', url: `http://127.0.0.1:${port}/${index}` }),
  }));
  const file = join(fleet.folder, 'lares.yaml');
  const config = { state: 'state', terminal: false, defaultChecks: false, http: { port: 0 } };
  writeFileSync(file, stringify({ ...config, hosts: Object.fromEntries(hosts), checks }));
  return file;
}
