import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bindShipped, kindNames } from '#agents/sentinel/registry.ts';
import { shippedGuardians } from '#config/guardian.ts';
import { planChecks } from '#config/planned-checks.ts';
import { presetReference } from '#config/preset-reference.ts';
import { type Preset, Presets } from '#config/preset.ts';
import { ConfigSchema } from '#config/schema.ts';

const presets = new Presets();
const folder = join(import.meta.dirname, '../../config/presets');
const text = (name: string): string => readFileSync(join(folder, `${name}.yaml`), 'utf8');
const kinds = new Set(await kindNames());
const guardians = shippedGuardians();

/** A value of each type that a person could write. */
const sample: Record<string, unknown> = {
  url: 'https://10.0.0.7:8443',
  text: 'text',
  host: '10.0.0.7',
  port: 4711,
  number: 7,
  flag: true,
  duration: '5m',
  path: '/srv/file',
  secret: { env: 'LARES_SAMPLE' },
  list: ['one'],
};
/** Where a parameter wants more than its type says. */
const special: Record<string, unknown> = {
  'proxmox.otherUrls': ['https://10.0.0.8:8006'],
  'proxmox.ignoreGuests': [101],
  'proxmox.mayStop': [102],
  'proxmox.mustRun': [103],
  'proxmox-backup.certificateFingerprint': Array.from({ length: 32 }, () => 'AB').join(':'),
  'wazuh-manager.certificateFingerprint': Array.from({ length: 32 }, () => 'AB').join(':'),
  'wazuh-indexer.certificateFingerprint': Array.from({ length: 32 }, () => 'AB').join(':'),
  'pentagi.certificateFingerprint': Array.from({ length: 32 }, () => 'AB').join(':'),
  'cloudflare.account': '0123456789abcdef0123456789abcdef',
  'cloudflare.namespace': '0123456789abcdef0123456789abcdef',
  'cloudflare.record': 'vpn.example.org',
  'on-demand.ports': [22],
  'on-demand.cron': '8 0 * * *',
  'on-demand.timezone': 'Europe/Paris',
  'website.domain': 'example.org',
  'lets-encrypt-site.domain': 'example.org',
  'ssh-server.hostKeys': ['SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  'acme-sh.files': ['/etc/ssl/acme/*.pem'],
  'certbot.ports': [443],
  'certificate-files.files': ['/etc/ssl/site.pem'],
  'certificate-files.ports': [443],
  'hardened-host.allowedPorts': ['22/tcp'],
  'nfs-client.mounts': ['/mnt/media'],
  'zigbee2mqtt.broker': 'mqtt://10.0.0.42:1883',
  'mosquitto.url': 'mqtt://10.0.0.42:1883',
  'emqx.broker': 'mqtt://10.0.0.42:1883',
  'loki.streams': '{job="systemd-journal"}',
};

function useOf(preset: Preset, wants: (parameter: Preset['parameters'][string]) => boolean): Record<string, unknown> {
  const chosen = Object.entries(preset.parameters).filter(([, parameter]) => wants(parameter));
  const values = chosen.map(([name, { type, default: usual }]) => [
    name,
    special[`${preset.preset}.${name}`] ?? usual ?? sample[type],
  ]);
  return { preset: preset.preset, ...(Object.fromEntries(values) as object) };
}

async function faultsOf(use: object): Promise<string[]> {
  const host = { via: 'ssh', address: '10.0.0.7', read: { user: 'lares' } };
  const config = ConfigSchema.parse({
    defaultChecks: false,
    hosts: { web: host },
    services: { it: { on: 'web', watch: [use] } },
  });
  const plan = planChecks(config);
  const { faults } = await bindShipped(config);
  return [...plan.faults, ...faults].map(({ path, message }) => `${path.join('.')}: ${message}`);
}

test('the page of the presets and guardians is what their files say', async () => {
  await expect(presetReference()).toMatchFileSnapshot(join(folder, 'README.md'));
});

describe.each(presets.names())('the preset %s', (name) => {
  const preset = presets.get(name);
  if (typeof preset === 'string') throw new Error(preset);

  test('says what it is about and names kinds and guardians that exist', () => {
    expect(preset.about).toMatch(/^[A-Z].*\.$/);
    expect(preset.checks.map(({ kind }) => kind).filter((kind) => !kinds.has(kind))).toEqual([]);
    const named = preset.checks.flatMap(({ guardian }) => (typeof guardian === 'string' ? [guardian] : []));
    expect(named.filter((guardian) => !guardians.has(guardian))).toEqual([]);
    const suffixes = preset.checks.map(({ suffix }) => suffix);
    expect(new Set(suffixes).size).toBe(suffixes.length);
  });

  test('uses every parameter, and needs what it uses', () => {
    const body = text(name).slice(text(name).indexOf('checks:'));
    for (const [parameter, { optional, default: usual }] of Object.entries(preset.parameters)) {
      const isNeeded = preset.checks.some(({ needs }) => needs.includes(parameter));
      expect(isNeeded || body.includes(`{${parameter}}`), `parameter ${parameter}`).toBe(true);
      if (!optional || usual !== undefined) continue;
      for (const check of preset.checks) {
        const { needs, ...template } = check;
        const insideText = new RegExp(`(?!"\\{${parameter}\\}")"[^"]*\\{${parameter}\\}[^"]*"`);
        const isInText = insideText.test(JSON.stringify(template));
        expect(!isInText || needs.includes(parameter), `${check.suffix} puts ${parameter} into a text`).toBe(true);
      }
    }
  });

  test('makes checks that their kinds accept, with the least and with all', async () => {
    expect(await faultsOf(useOf(preset, ({ optional, default: usual }) => !optional && usual === undefined))).toEqual(
      [],
    );
    expect(await faultsOf(useOf(preset, () => true))).toEqual([]);
  });
});

describe.each([...guardians.keys()])('the guardian %s', (name) => {
  test('makes checks that their kinds accept, on every host that can be looked at', async () => {
    const config = ConfigSchema.parse({
      hosts: { here: { via: 'local' }, there: { read: { user: 'lares' } }, deaf: {} },
    });
    const { checks, faults } = await bindShipped(config);
    expect(faults).toEqual([]);
    const members = checks.filter((check) => check.config.guardian === name);
    expect(members.map(({ config: { host } }) => host)).not.toContain('deaf');
  });
});
