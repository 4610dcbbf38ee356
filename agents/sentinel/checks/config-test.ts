import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { asRootHead, isRefused, rootHint, sudoOption, sudoValue } from '#agents/sentinel/probes/as-root.ts';
import {
  complaintsIn,
  configCommands,
  configProgram,
  type ConfigProgramName,
  configPrograms,
} from '#agents/sentinel/probes/config-programs.ts';
import { askHost, linesOf, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import type { Section } from '#agents/sentinel/probes/sections.ts';
import { counted, evidenceOf } from '#agents/sentinel/probes/text.ts';

const names = Object.keys(configPrograms) as [ConfigProgramName, ...ConfigProgramName[]];

const Options = z.strictObject({
  program: z.enum(names).describe('Whose configuration: the program itself is asked whether it would load.'),
  file: z
    .string()
    .max(500)
    .regex(/^\/[^\n\0]*$/, 'must be a whole path')
    .optional()
    .describe(
      'The file, for those that have to be told: caddy, haproxy, prometheus, alertmanager. Default: that of Debian.',
    ),
  sudo: sudoOption(configCommands()),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'config-test',
  about:
    'Whether a configuration on the disk would load: a server that runs with a broken one does not come back from its next restart.',
  options: Options,
  reach: 'host',
  resourceOf: ({ program }) => program,
  observe,
  evidence: { about: 'what the program says of its configuration, and the files there that changed last', gather },
});

/** The program where Debian has it, or wherever this host has it. */
const located = String.raw`
program=$1; shift
[ -x "$1" ] || { found=$(command -v "$(basename "$1")") && shift && set -- "$found" "$@"; }
`;

/** What the adapter of Caddy prints is the whole configuration, secrets too: only what it complains of leaves the host. */
const script = String.raw`${scriptHead}${asRootHead}${located}
caddy_test() {
  said=$(as_root "$@" 2>&1) || { code=$?; printf '%s\n' "$said" | grep -v '^{'; return $code; }
  case "$said" in *'"apps":{"'*) ;; *) echo "it holds no site: loading it would drop every one"; return 1;; esac
}
part id id -u
part there test -x "$1"
if [ "$program" = caddy ]; then part test caddy_test "$@"; else part test as_root "$@"; fi
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const program = configProgram(options.program);
  const said = {
    condition: 'config-invalid',
    resource: options.program,
    labels: { program: options.program, ...(program.unit !== '' && { unit: program.unit }) },
  };
  const answer = await askHost(context, {
    script,
    values: [sudoValue(options.sudo), options.program, ...argvOf(options)],
  });
  if (!answer.ok) return [unseen(said, answer.reason)];
  const test = answer.sections.get('test');
  const reason = blindness(answer.sections, options);
  if (test === undefined || reason !== undefined) return [unseen(said, reason ?? 'the test was not run')];
  const { errors, warnings } = complaintsIn(test.text);
  const ok = test.code === 0;
  const more = warnings.length === 0 ? '' : `, with ${counted(warnings.length, 'warning')}`;
  const first = [...errors, ...warnings].slice(0, 2).join(' ') || `the test ended with status ${test.code}`;
  return [
    state({
      ...said,
      summary: ok
        ? `the configuration of ${options.program} would load${more}`
        : `${options.program} would not start again with the configuration on its disk: ${first}`,
      ok,
      severity: 'warning',
    }),
  ];
}

function argvOf({ program, file }: Options): string[] {
  const { command, args, file: usual } = configProgram(program);
  return [command, ...args, ...(usual === undefined ? [] : [file ?? usual])];
}

/** Why the end of a test says nothing of the configuration. */
function blindness(sections: ReadonlyMap<string, Section>, { program, sudo }: Options): string | undefined {
  const { command, wantsRoot } = configProgram(program);
  if (sections.get('there')?.code !== 0) return `"${command}" is not there`;
  const test = sections.get('test');
  if (test === undefined) return 'the host did not run the test';
  if (test.code === 124 || test.code === 137) return 'the test took longer than 8s';
  const isRoot = sections.get('id')?.text.trim() === '0';
  const isBlind = test.code !== 0 && !isRoot && (isRefused(test.text) || (wantsRoot && !sudo));
  return isBlind ? rootHint(`the whole configuration of ${program}`) : undefined;
}

const evidenceScript = String.raw`${scriptHead}${asRootHead}
folder=$1; shift${located}
recent() { limit 2 find "$folder" -xdev -type f -printf '%TY-%Tm-%TdT%TH:%TM:%TS %u %p\n' 2>/dev/null | sort -r | head -n 10; }
errors() { as_root "$@" 2>&1 >/dev/null | head -n 30; true; }
part recent recent
part errors errors "$@"
`;

async function gather(options: Options, context: CheckContext): Promise<Evidence[]> {
  const answer = await askHost(context, {
    script: evidenceScript,
    values: [sudoValue(options.sudo), folders[options.program], options.program, ...argvOf(options)],
    timeoutMs: 5_000,
  });
  if (!answer.ok) return [];
  return [
    ...evidenceOf('state', 'What it says', linesOf(answer.sections, 'errors')),
    ...evidenceOf('change', 'Files that changed last', linesOf(answer.sections, 'recent')),
  ];
}

const folders: Record<ConfigProgramName, string> = {
  nginx: '/etc/nginx',
  apache: '/etc/apache2',
  caddy: '/etc/caddy',
  haproxy: '/etc/haproxy',
  bind: '/etc/bind',
  unbound: '/etc/unbound',
  sshd: '/etc/ssh',
  sudo: '/etc/sudoers.d',
  prometheus: '/etc/prometheus',
  alertmanager: '/etc/prometheus',
};
