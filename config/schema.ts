import { z } from 'zod';
import { Ident, Severity } from '#bus/fields.ts';
import { Check } from './check-config.ts';
import { DiscoveryEntry } from './discovery.ts';
import { durationOr } from './duration.ts';
import { Host, Service } from './host-config.ts';
import { HostName, LocalZone, TimeOfDay, TimeZone } from './names.ts';
import { Intake } from './intake-config.ts';
import { SecretRef } from './secret-ref.ts';

/** Addresses are shown in logs, in messages and on the command line. */
const withoutPassword = { error: 'must hold no user and no password: they have keys of their own' };
const Address = z.url().refine(hasNoPassword, withoutPassword);

function hasNoPassword(url: string): boolean {
  return !/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*@/i.test(url);
}

const Telegram = z.strictObject({
  token: SecretRef.describe('The bot token that @BotFather gave.'),
  chat: z
    .number()
    .int()
    .optional()
    .describe('Chat that gets the messages. Absent: the private chat of the first paired person.'),
  apiRoot: Address.default('https://api.telegram.org').describe('Bot API server.'),
});

const People = z.strictObject({
  readers: z.array(z.number().int()).default([]).describe('Telegram user ids that may ask.'),
  operators: z
    .array(z.number().int())
    .default([])
    .describe('Telegram user ids that may acknowledge, snooze and freeze.'),
  approvers: z.array(z.number().int()).default([]).describe('Telegram user ids that may approve and reject plans.'),
  terminal: z.boolean().default(true).describe('Whether the person at the terminal of the process may approve.'),
});

const Price = z.strictObject({
  inputPerMillion: z.number().nonnegative().describe('Euro per million input tokens.'),
  outputPerMillion: z.number().nonnegative().describe('Euro per million output tokens.'),
});

const Provider = z.strictObject({
  name: Ident.describe('Your name for it, shown in incidents and digests.'),
  kind: z
    .enum(['anthropic', 'openai', 'compatible'])
    .describe('`compatible`: any endpoint that speaks Chat Completions.'),
  model: z.string().min(1).max(120).describe('Name of the model, as the provider spells it.'),
  baseUrl: Address.optional().describe('Needed for `compatible`.'),
  apiKey: SecretRef.optional(),
  timeout: durationOr('45s').describe('One question may take so long; then the next provider is asked.'),
  sees: z
    .enum(['local', 'cloud'])
    .default('cloud')
    .describe('`local` may see log lines as they are; `cloud` sees redacted text.'),
  price: Price.optional().describe('Absent: the worst price of `llm.worstPrice`. A local provider costs 0.'),
  maxInputTokens: z.number().int().min(1_000).default(100_000).describe('Size of its context window.'),
  maxOutputTokens: z
    .number()
    .int()
    .min(100)
    .max(16_000)
    .default(1_500)
    .describe('Longest answer; reserved against the cap.'),
});

const Llm = z.strictObject({
  providers: z.array(Provider).max(10).default([]).describe('In order: the first that answers is used.'),
  monthlyCapEuro: z.number().nonnegative().default(5).describe('Spending limit per calendar month (UTC).'),
  worstPrice: Price.default({ inputPerMillion: 20, outputPerMillion: 100 }).describe(
    'Counted where a price is unknown.',
  ),
});

const Triage = z.strictObject({
  groupWait: durationOr('30s').describe('How long a new incident waits for its cause and its symptoms.'),
  groupInterval: durationOr('5m').describe('Least time between two updates of one incident that make a sound.'),
  repeatInterval: durationOr('4h').describe(
    'Reminder of what is open and nobody acknowledged. Below `critical` it waits for the end of `quietHours`, or of the night (22:00 to 07:00) where there are none. `0s`: no reminders at all.',
  ),
  criticalRepeatInterval: durationOr('1h').describe(
    'Reminder of an open critical incident, day and night; at most `repeatInterval`. `0s`: none.',
  ),
  quietHours: z
    .strictObject({
      from: TimeOfDay.describe('Begin, as 22:00.'),
      to: TimeOfDay.describe('End, as 07:00; may be on the next day.'),
      timezone: LocalZone,
      floor: Severity.default('critical').describe('Least severity that makes a sound all the same.'),
    })
    .optional()
    .describe('Messages below the floor make no sound then, and reminders below it wait for the end.'),
});

const DigestConfig = z.strictObject({
  at: TimeOfDay.default('07:00').describe('Local time of the nightly digest.'),
  timezone: LocalZone,
  enabled: z.boolean().default(true).describe('Whether there is a nightly digest.'),
});

const Remediation = z.strictObject({
  playbooks: z.string().optional().describe('Folder with your own playbooks, beside those that ship.'),
  protectedUnits: z
    .array(z.string())
    .default(['ssh', 'sshd', 'systemd-networkd', 'NetworkManager', 'networking', 'tailscaled', 'wg-quick@*'])
    .describe('Units that no playbook touches: the way back in.'),
  freePaths: z
    .array(z.string().startsWith('/'))
    .default([])
    .describe('Folders whose old files the playbook `delete-old-files` may delete.'),
  planExpiry: durationOr('12h').describe('How long a plan waits for an approval.'),
  brake: z
    .strictObject({
      runs: z.number().int().min(1).default(2).describe('Runs that are allowed.'),
      within: durationOr('30m').describe('The time in which they are counted.'),
    })
    .prefault({})
    .describe('So many runs of one playbook on one target, then stop and escalate.'),
  signers: z
    .array(
      z.strictObject({
        name: Ident.describe('Name for messages.'),
        publicKeyFile: z.string().describe('PEM file: `keys/triage.pub` or `keys/console.pub` of the other machine.'),
      }),
    )
    .default([])
    .describe('Public keys whose approvals count, when the agents do not share a state folder.'),
});

const BusConfig = z.strictObject({
  url: z
    .string()
    .regex(/^(mqtts?|wss?):\/\//, 'must start with mqtt://, mqtts://, ws:// or wss://')
    .refine(hasNoPassword, withoutPassword)
    .optional()
    .describe('External broker. Absent: the embedded one.'),
  user: z.string().optional().describe('Login at the external broker; `{agent}` stands for the name of the agent.'),
  password: SecretRef.optional(),
  caFile: z.string().optional().describe('Certificate authority of the external broker.'),
  port: z
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(0)
    .describe('Loopback port of the embedded broker; 0 takes a free one.'),
});

const Guardian = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether its checks are looked at.'),
    cron: z.string().max(100).optional().describe('When it goes its round. Default: its own; needed for one of yours.'),
    timezone: TimeZone.optional().describe("Time zone of the cron expression. Default: the machine's."),
  })
  .describe('A scheduled job made of checks.');

const Http = z.strictObject({
  address: z
    .string()
    .min(1)
    .max(255)
    .default('127.0.0.1')
    .describe('Address that health, metrics, intakes and heartbeats listen on.'),
  port: z.number().int().min(0).max(65_535).default(9477).describe('0 takes a free one.'),
});

const Heartbeat = z
  .strictObject({
    url: Address.describe('Address that is called with GET.'),
    every: durationOr('1m').describe('Time between calls.'),
  })
  .describe('An address to call while all is well: who watches the watcher.');

export const ConfigSchema = z.strictObject({
  site: HostName.default('home').describe('Name of this fleet: the topic level below lares/.'),
  state: z.string().default('state').describe('Folder for state, relative to the configuration file.'),
  logLevel: z
    .enum(['debug', 'info', 'warn', 'error'])
    .default('warn')
    .describe('Least level that is written to the log.'),
  bus: BusConfig.prefault({}),
  http: Http.prefault({}),
  intake: z.record(HostName, Intake).default({}).describe('Who may send alerts, by name: /in/<name>.'),
  heartbeat: Heartbeat.optional(),
  hosts: z.record(HostName, Host).default({}),
  services: z.record(HostName, Service).default({}),
  discovery: z
    .array(DiscoveryEntry)
    .max(50)
    .default([])
    .describe('Who is asked what there is. The earlier source is believed, and what is written here before all.'),
  defaultChecks: z.boolean().default(true).describe('Watch each host with the checks that fit any machine.'),
  checks: z.array(Check).max(5_000).default([]),
  presets: z.string().optional().describe('Folder with your own presets, beside those that ship.'),
  guardians: z.record(HostName, Guardian).default({}).describe('When the guardians go their rounds.'),
  gateway: z
    .string()
    .max(255)
    .optional()
    .describe('Address of your router: while it does not answer, remote checks are unknown, not down.'),
  people: People.prefault({}),
  telegram: Telegram.optional(),
  terminal: z.boolean().default(true).describe('Whether the terminal of the process is a channel.'),
  llm: Llm.prefault({}),
  triage: Triage.prefault({}),
  digest: DigestConfig.prefault({}),
  remediation: Remediation.prefault({}),
});

export { SecretRef };
export type Config = z.output<typeof ConfigSchema>;
export type ConfigInput = z.input<typeof ConfigSchema>;
export type HostConfig = Config['hosts'][string];
export type ProviderConfig = Config['llm']['providers'][number];
