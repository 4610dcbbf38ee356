import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { askHost, linesOf } from '#agents/sentinel/probes/host-answer.ts';
import { parseJournal } from '#agents/sentinel/probes/journal.ts';
import { spans } from '#agents/sentinel/probes/levels-option.ts';
import { type NixosState, parseGenerations, parseSecrets, readNixos } from '#agents/sentinel/probes/nixos.ts';
import { nixosEvidenceScript, nixosScript } from '#agents/sentinel/probes/nixos-script.ts';
import { level, state, unseen } from '#agents/sentinel/probes/reading.ts';
import { readRelease } from '#agents/sentinel/probes/release-end.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const dayMs = 86_400_000;
/** A release whose end is nearer than that is told as information. */
const noticeMs = 30 * dayMs;

const Options = z.strictObject({
  age: spans({ warning: '8d', critical: '15d' })
    .prefault({})
    .describe('Age of the last update. The default is for a weekly one, and a day more.'),
  unit: z
    .string()
    .regex(/^[A-Za-z0-9:_.@\\-]{1,255}\.service$/, 'must be the name of a service such as nixos-upgrade.service')
    .default('nixos-upgrade.service')
    .describe('The service that updates the system.'),
  metrics: z
    .string()
    .startsWith('/')
    .max(500)
    .optional()
    .describe('File with `nixos_autoupdate_system_status` and `..._last_success` for the textfile collector.'),
  secrets: z
    .array(z.string().startsWith('/').max(500))
    .max(50)
    .default([])
    .describe('Files on the host that git-crypt must have unlocked.'),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'nixos-generation',
  about:
    'A NixOS host that was not updated for long, whose update failed, that waits for a reboot or has locked secrets.',
  options: Options,
  reach: 'host',
  resourceOf: () => 'generation',
  observe,
  evidence: { about: 'the journal of the update, the last generations and the version', gather },
});

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const values = [options.unit, options.metrics ?? '', ...options.secrets];
  const answer = await askHost(context, { script: nixosScript, values });
  const nothing = { condition: 'nixos-outdated', resource: 'generation' };
  if (!answer.ok) return [unseen(nothing, answer.reason)];
  const { sections } = answer;
  if (sections.has('none')) return [unseen(nothing, 'this host is no NixOS')];
  const nixos = readNixos(sections, context.clock.now());
  return [
    ageObservation(options, nixos),
    updateObservation(options, nixos),
    rebootObservation(nixos),
    ...bootObservation(nixos),
    ...releaseObservation(sections.get('release')?.text ?? '', nixos.now),
    ...parseSecrets(sections).map(secretObservation),
  ];
}

/** An update that changed nothing makes no generation, so its success counts as well. */
function ageObservation(options: Options, nixos: NixosState): Observation {
  const said = { condition: 'nixos-outdated', resource: 'generation', holdMs: 0 };
  const at = Math.max(nixos.current?.madeAt ?? 0, nixos.updatedAt ?? 0);
  if (at === 0) return unseen(said, 'neither "nixos-rebuild list-generations" nor the profile says when it was made');
  const days = Math.max(0, (nixos.now - at) / dayMs);
  const number = nixos.current?.number === undefined ? '' : ` (generation ${nixos.current.number})`;
  return level({
    ...said,
    value: days,
    unit: 'd',
    bad: 'above',
    warning: options.age.warning / dayMs,
    critical: options.age.critical / dayMs,
    summary: `last updated ${days < 1 ? 'within a day' : `${counted(Math.floor(days), 'day')} ago`}${number}`,
  });
}

function updateObservation(options: Options, nixos: NixosState): Observation {
  return state({
    condition: 'nixos-update-failed',
    resource: options.unit,
    labels: { unit: options.unit },
    holdMs: 0,
    summary: nixos.failure === undefined ? `${options.unit} has not failed` : `${options.unit} ${nixos.failure}`,
    ok: nixos.failure === undefined,
    severity: 'warning',
  });
}

function rebootObservation({ replaced }: NixosState): Observation {
  return state({
    condition: 'reboot-required',
    resource: 'system',
    holdMs: 0,
    summary: replaced.length === 0 ? 'no reboot is needed' : `a reboot is needed to use the new ${replaced.join(', ')}`,
    ok: replaced.length === 0,
    severity: 'info',
  });
}

/** After `nixos-rebuild test` or `boot`, or when a switch ended half way. */
function bootObservation({ boots }: NixosState): Observation[] {
  if (boots === 'unknown') return [];
  return [
    state({
      condition: 'generation-not-active',
      resource: 'system',
      summary:
        boots === 'current'
          ? 'the running system is the one that boots'
          : 'the next boot takes another generation than the one that runs',
      ok: boots === 'current',
      severity: 'info',
    }),
  ];
}

function releaseObservation(text: string, now: number): Observation[] {
  const { name, endsAt } = readRelease(text, '');
  if (endsAt === undefined) return [];
  const day = new Date(endsAt).toISOString().slice(0, 10);
  return [
    state({
      condition: 'release-ended',
      resource: 'release',
      holdMs: 0,
      summary: `${oneLine(name, 80)} ${now > endsAt ? 'got' : 'gets'} security updates until ${day}`,
      ok: endsAt - now >= noticeMs,
      severity: now > endsAt ? 'warning' : 'info',
    }),
  ];
}

function secretObservation({ path, is }: ReturnType<typeof parseSecrets>[number]): Observation {
  const said = { condition: 'secret-locked', resource: path, labels: { path: oneLine(path, 200) }, holdMs: 0 };
  if (is === 'unreadable') return unseen(said, 'the file is empty, missing or not readable for the login');
  return state({
    ...said,
    summary:
      is === 'locked' ? `${path} is locked by git-crypt: whatever reads it gets ciphertext` : `${path} is unlocked`,
    ok: is === 'open',
    severity: 'critical',
  });
}

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const answer = await askHost(context, { script: nixosEvidenceScript, values: [options.unit], timeoutMs: 5_000 });
  if (!answer.ok) return [];
  const { sections } = answer;
  const generations = parseGenerations(sections.get('generations')?.text ?? '')
    .toSorted((a, b) => a.generation - b.generation)
    .map(({ generation, date, nixosVersion, kernelVersion, current }) =>
      oneLine(`${generation} ${date} ${nixosVersion} kernel ${kernelVersion}${current ? ' (current)' : ''}`),
    );
  return [
    ...evidenceOf('log', `Journal of ${options.unit}`, parseJournal(sections.get('journal')?.text ?? '')),
    ...evidenceOf('change', 'Last generations', generations.slice(-8)),
    ...evidenceOf('state', 'nixos-version', linesOf(sections, 'version')),
  ];
}
