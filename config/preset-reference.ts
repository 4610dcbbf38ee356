import { Presets } from './preset.ts';
import { shippedGuardians } from './guardian.ts';

const introduction = `# Presets

Printed from the files of this folder; a test compares it. Each line is a product that one entry below a host or a service
watches: \`watch: [{ preset: jellyfin, url: http://10.0.0.5:8096 }]\`. \`lares presets <name>\` shows what a preset must be told and which
checks it makes. To add one, add a YAML file here, or to a folder of your own that \`presets\` in the configuration names.

| preset | what is watched |
| --- | --- |`;

const guardians = `
# Guardians

Scheduled jobs made of checks. What rarely changes is looked at in their rounds; a guardian that cannot do its job says so in one finding.

| guardian | when (cron) | what |
| --- | --- | --- |`;

/** The page of all presets and guardians that ship. */
export function presetReference(): string {
  const presets = new Presets();
  const rows = presets.names().map((name) => {
    const preset = presets.get(name);
    return typeof preset === 'string'
      ? `| \`${name}\` | ${preset} |`
      : `| \`${name}\` | ${preset.title}: ${preset.about} |`;
  });
  const jobs = [...shippedGuardians().values()].map(
    ({ guardian, cron, about }) => `| \`${guardian}\` | \`${cron}\` | ${about} |`,
  );
  return `${[introduction, ...rows].join('\n')}\n${[guardians, ...jobs].join('\n')}\n`;
}
