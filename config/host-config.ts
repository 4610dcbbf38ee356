import { z } from 'zod';
import { Labels } from '#bus/fields.ts';
import { hostFields, serviceFields } from './inventory-fields.ts';
import { HostName, Port } from './names.ts';
import { Watches } from './watch.ts';

const HostKey = z
  .string()
  .regex(
    /^SHA256:[A-Za-z0-9+/]{43}$/,
    'must be a fingerprint as "ssh-keygen -lf" prints it: SHA256:... (leave hostKeys out, and "lares doctor" prints what the host shows)',
  );

const Login = z
  .strictObject({
    user: z.string().min(1).max(64).describe('Login name.'),
    keyFile: z.string().optional().describe('Private key file in OpenSSH format. Absent: the agent at SSH_AUTH_SOCK.'),
    passphraseFile: z.string().optional().describe('File that holds the passphrase of the key.'),
  })
  .describe('How one agent logs in.');

export const Host = z
  .strictObject({
    via: z
      .enum(['local', 'ssh', 'none'])
      .default('ssh')
      .describe('`local` is the machine that Lares runs on; `none`: a device without a login.'),
    address: z.string().min(1).max(255).optional().describe('Name or address; the name of the host when absent.'),
    port: Port.default(22),
    hostKeys: z
      .array(HostKey)
      .max(10)
      .default([])
      .describe('Pinned host keys. `lares doctor` prints what a host shows.'),
    read: Login.optional().describe('How sentinel logs in to look. Needs no power.'),
    act: Login.optional().describe('How remediation logs in to run approved plans. Absent: nothing can be run there.'),
    sudo: z.boolean().default(false).describe('Whether steps that need root go through `sudo -n`.'),
    ...hostFields,
    watch: Watches,
    on: HostName.optional().describe('The host that this one runs on.'),
    dependsOn: z.array(HostName).default([]).describe('Hosts or services without which this one cannot work.'),
    labels: Labels.default({}).describe('Labels that its findings get.'),
  })
  .describe('A machine, VM or container with a system of its own.');

export const Service = z
  .strictObject({
    ...serviceFields,
    watch: Watches,
    on: HostName.describe('The host that it runs on.'),
    dependsOn: z.array(HostName).default([]).describe('Hosts or services without which it cannot work.'),
    labels: Labels.default({}).describe('Labels that its findings get.'),
  })
  .describe('Something that hosts serve.');
