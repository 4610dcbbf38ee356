import { access } from 'node:fs/promises';
import { z } from 'zod';
import { absolutePath } from '#config/paths.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import { type Discovered, defineSource, type DiscoveryContext, type Thing } from '../inventory/source.ts';
import { type AnsibleHost, hostsOfListing, hostsOfText } from '../probes/ansible-inventory.ts';
import { readBounded } from '../probes/bounded-file.ts';
import { readCommand } from '../probes/command-reading.ts';
import { jsonOf } from '../probes/text.ts';

/** Variables of a thousand hosts. */
const maximumOutputBytes = 16_000_000;

export const source = defineSource({
  source: 'ansible',
  about:
    'Hosts of an Ansible inventory: as `ansible-inventory` lists them where it is installed, else as the file says.',
  options: z.object({
    inventory: z.string().min(1).max(1_000).describe('Inventory file or folder of this machine.'),
    run: z
      .boolean()
      .default(true)
      .describe('Whether `ansible-inventory` may be run; it runs inventory scripts and plug-ins of that folder.'),
  }),
  async discover({ inventory, run }, context): Promise<Discovered> {
    const path = absolutePath(inventory, context.baseFolder);
    // A path that is none is a list of hosts to Ansible.
    if (!(await exists(path))) return { is: 'silent', reason: `"${path}" does not exist` };
    const listed = run ? await listing(path, context) : { ok: false as const, reason: '' };
    if (listed.ok) return answered(listed.hosts, []);
    const read = await readBounded(path, context.baseFolder);
    if (!read.ok) return { is: 'silent', reason: listed.reason === '' ? read.reason : listed.reason };
    const hosts = hostsOfText(read.text);
    if (hosts === undefined) return { is: 'silent', reason: `"${path}" is no inventory that can be read` };
    const note = `read without Ansible${listed.reason === '' ? '' : `: ${listed.reason}`}`;
    return answered(hosts, [note]);
  },
});

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function listing(
  path: string,
  { signal, timeoutMs }: DiscoveryContext,
): Promise<{ ok: true; hosts: AnsibleHost[] } | { ok: false; reason: string }> {
  // Ansible refuses to start in the C locale, whose encoding is not UTF-8.
  const argv = ['env', 'LC_ALL=C.UTF-8', 'ansible-inventory', '--list', '-i', path];
  const end = await localRunner.run(argv, { signal, timeoutMs: timeoutMs * 0.8, maximumOutputBytes });
  const read = readCommand(end);
  if (!read.ok) return { ok: false, reason: read.reason };
  // A file that no plug-in can read is a warning on stderr, status 0 and an empty inventory.
  const stderr = end.end === 'exited' ? end.output.stderr : '';
  const hosts = hostsOfListing(jsonOf(read.text));
  if (hosts === undefined) return { ok: false, reason: 'it printed no inventory' };
  if (hosts.length === 0 && /Unable to parse|Failed to parse/i.test(stderr)) {
    return { ok: false, reason: 'it could not parse the inventory' };
  }
  return { ok: true, hosts };
}

function answered(hosts: readonly AnsibleHost[], notes: string[]): Discovered {
  return { is: 'answered', things: hosts.filter(({ isLocal }) => !isLocal).map(thingOf), notes };
}

function thingOf({ name, groups, address, port, user }: AnsibleHost): Thing {
  const labels = {
    ...(groups.length > 0 && { groups: groups.join(',').slice(0, 300) }),
    ...(user !== undefined && { user: user.slice(0, 60) }),
    ...(port !== undefined && { port: String(port) }),
  };
  return { id: name, name, type: 'machine', ...(address !== undefined && { address }), labels };
}
