import { z } from 'zod';
import { Ident, Labels, Severity } from '#bus/fields.ts';
import { Duration, durationOr } from './duration.ts';

const HostName = Ident.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be letters, digits, dots, dashes or underscores');
const HostKey = z
  .string()
  .regex(/^SHA256:[A-Za-z0-9+/]{43}$/, 'must be a fingerprint as "ssh-keygen -lf" prints it: SHA256:...');
const Port = z.number().int().min(1).max(65_535).describe('TCP port.');
const TimeZone = z
  .string()
  .refine((zone) => isTimeZone(zone), { error: 'must be a time zone such as Europe/Paris or UTC' })
  .describe('IANA time zone.');
const TimeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time of day such as 07:30');

/** Addresses are shown in logs, in messages and on the command line. */
const withoutPassword = { error: 'must hold no user and no password: they have keys of their own' };
const Address = z.url().refine(hasNoPassword, withoutPassword);

function hasNoPassword(url: string): boolean {
  return !/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*@/i.test(url);
}

function isTimeZone(zone: string): boolean {
  try {
    return Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

const Login = z
  .strictObject({
    user: z.string().min(1).max(64).describe('Login name.'),
    keyFile: z.string().optional().describe('Private key file in OpenSSH format. Absent: the agent at SSH_AUTH_SOCK.'),
    passphraseFile: z.string().optional().describe('File that holds the passphrase of the key.'),
  })
  .describe('How one agent logs in.');

const Host = z
  .strictObject({
    via: z.enum(['local', 'ssh']).default('ssh').describe('`local` is the machine that Lares runs on.'),
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
    on: HostName.optional().describe('The host that this one runs on.'),
    dependsOn: z.array(HostName).default([]).describe('Hosts or services without which this one cannot work.'),
    labels: Labels.default({}).describe('Labels that its findings get.'),
  })
  .describe('A machine, VM or container with a system of its own.');

const Service = z
  .strictObject({
    on: HostName.describe('The host that it runs on.'),
    dependsOn: z.array(HostName).default([]).describe('Hosts or services without which it cannot work.'),
    labels: Labels.default({}).describe('Labels that its findings get.'),
  })
  .describe('Something that hosts serve.');

/** What every check has, whatever its kind; the other keys are the kind's own options. */
export const CheckCommon = z.looseObject({
  id: HostName.describe('Unique name of the check.'),
  kind: Ident.describe('The kind of check: a file in agents/sentinel/checks.'),
  host: HostName.optional().describe('The host that it is about, and where host checks look.'),
  service: HostName.optional().describe('The service of the inventory that it is about.'),
  every: Duration.optional().describe('Interval between looks. Default 60s.'),
  cron: z.string().max(100).optional().describe('Cron expression instead of an interval.'),
  timezone: TimeZone.optional().describe('Time zone of the cron expression. Default UTC.'),
  timeout: durationOr('10s').describe('A look that takes longer is unknown.'),
  for: Duration.optional().describe('How long a condition must hold before it fires. Default 2m, or `window`.'),
  window: z
    .strictObject({
      failures: z.number().int().min(1).max(20).describe('Bad looks that fire.'),
      of: z.number().int().min(1).max(20).describe('Looks that are counted.'),
    })
    .optional()
    .describe('Fire after so many failures of so many looks, instead of or beside `for`.'),
  keepFiringFor: durationOr('0s').describe('How long a finding goes on firing after the condition ended.'),
  clearAfter: z.number().int().min(1).max(20).default(2).describe('Good looks in a row that end a finding.'),
  unknownFor: durationOr('5m').describe('How long a check must be unable to look before that is a finding itself.'),
  severity: Severity.optional().describe('Replaces the severity that the kind gives.'),
  labels: Labels.default({}).describe('Labels that its findings get.'),
  dependsOn: z.array(HostName).default([]).describe('Hosts, services or checks without which this one cannot be well.'),
});

/** The common keys without the looseness, which would turn every key into `unknown`. */
type CommonKeys = z.output<z.ZodObject<typeof CheckCommon.shape>>;

export interface CheckConfig extends CommonKeys {
  /** The keys that are not common: the kind's own options, not validated here. */
  options: Record<string, unknown>;
}

/** One check of the configuration: common keys checked, the kind's own keys gathered in `options`. */
export const Check = CheckCommon.transform((check): CheckConfig => {
  const options = Object.fromEntries(Object.entries(check).filter(([key]) => !(key in CheckCommon.shape)));
  return { ...check, options };
});

const Secret = {
  file: z.string().optional().describe('File that holds the secret and nothing else.'),
  env: z.string().optional().describe('Environment variable that holds it.'),
  credential: z.string().optional().describe('Name of a systemd credential (LoadCredential=).'),
};
/** Where a secret is kept; exactly one place. Never the secret itself. */
export const SecretRef = z
  .strictObject(Secret)
  .refine((ref) => Object.values(ref).filter((place) => place !== undefined).length === 1, {
    error: 'must name exactly one of file, env or credential',
  });
export type SecretRef = z.output<typeof SecretRef>;

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
  repeatInterval: durationOr('4h').describe('Reminder of an open critical incident that nobody acknowledged.'),
  quietHours: z
    .strictObject({
      from: TimeOfDay.describe('Begin, as 22:00.'),
      to: TimeOfDay.describe('End, as 07:00; may be on the next day.'),
      timezone: TimeZone,
      floor: Severity.default('critical').describe('Least severity that makes a sound all the same.'),
    })
    .optional()
    .describe('Messages below the floor make no sound then.'),
});

const DigestConfig = z.strictObject({
  at: TimeOfDay.default('07:00').describe('Local time of the nightly digest.'),
  timezone: TimeZone.optional()
    .transform((zone) => zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone)
    .describe("IANA time zone of the digest. Default: the machine's."),
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
    .describe('Folders whose old files may be deleted by disk-free.'),
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
  username: z.string().optional().describe('Login at the external broker; `{agent}` stands for the name of the agent.'),
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

const Http = z.strictObject({
  address: z
    .string()
    .min(1)
    .max(255)
    .default('127.0.0.1')
    .describe('Address that health, metrics and heartbeats listen on.'),
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
  heartbeat: Heartbeat.optional(),
  hosts: z.record(HostName, Host).default({}),
  services: z.record(HostName, Service).default({}),
  defaultChecks: z.boolean().default(true).describe('Watch each host with the checks that fit any machine.'),
  checks: z.array(Check).max(5_000).default([]),
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

export type Config = z.output<typeof ConfigSchema>;
export type ConfigInput = z.input<typeof ConfigSchema>;
export type HostConfig = Config['hosts'][string];
export type ProviderConfig = Config['llm']['providers'][number];
