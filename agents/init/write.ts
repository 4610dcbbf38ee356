import { listItem, mapEntry } from '../import/write.ts';
import type { Proposal } from './proposal.ts';

const about: Record<Proposal['section'], string> = {
  hosts: 'Machines, nodes, guests and devices. Each with a login is watched by default: resources, units, containers.',
  services: 'What hosts serve, and what it needs (dependsOn): from it root causes are found.',
  discovery: 'Who is asked what there is. Whatever is written in this file wins.',
  checks: 'What is looked at beside the checks that fit any machine.',
};

/** A commented configuration of what was chosen. */
export function configText(site: string, chosen: readonly Proposal[]): string {
  const sections = (['hosts', 'services', 'discovery', 'checks'] as const).flatMap((section) => {
    const entries = chosen.filter((one) => one.section === section);
    return entries.length === 0 ? [] : [`\n# ${about[section]}\n${section}:\n${entries.map(entryText).join('')}`];
  });
  const head = [
    '# Written by `lares init`. All keys: config/reference.md; `lares validate` says what is wrong, `lares plan` what it does.',
    '# A secret never stands here: { file: ... }, { env: ... } or { credential: ... } says where it is kept.',
    '',
    '# Name of this fleet.',
    `site: ${site}`,
    '',
  ];
  const tail = [
    '',
    '# Who is told: the terminal of `lares up`, and Telegram once you have a bot token of @BotFather in a file.',
    '# telegram:',
    '#   token: { file: secrets/telegram }',
    '',
  ];
  return `${head.join('\n')}${sections.join('')}${tail.join('\n')}`;
}

function entryText({ section, name, entry, notes }: Proposal): string {
  if (section === 'hosts' || section === 'services') return mapEntry(name, entry, notes);
  return listItem(entry, notes);
}
