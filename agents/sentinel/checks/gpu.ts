import { z } from 'zod';
import type { Evidence } from '#bus/messages/finding.ts';
import { type CheckContext, defineCheck, type Observation } from '#agents/sentinel/check.ts';
import { askHost, linesOf, scriptHead } from '#agents/sentinel/probes/host-answer.ts';
import { gpuColumns, observeGpu, parseGpus, xidsIn } from '#agents/sentinel/probes/gpu.ts';
import { journalAccess, journalFault } from '#agents/sentinel/probes/journal-access.ts';
import { levels } from '#agents/sentinel/probes/levels-option.ts';
import { state, unseen } from '#agents/sentinel/probes/reading.ts';
import type { Section } from '#agents/sentinel/probes/sections.ts';
import { counted, evidenceOf, oneLine } from '#agents/sentinel/probes/text.ts';

const all = 'GPUs';

const Options = z.strictObject({
  count: z.number().int().min(1).max(32).optional().describe('Cards that have to answer. Absent: at least one.'),
  temperature: levels({ warning: 85, critical: 95, most: 150 })
    .prefault({})
    .describe('Degrees Celsius of the chip. Lasts 5 minutes before it fires.'),
  memory: levels({ warning: 95, critical: 101, most: 101 })
    .optional()
    .describe(
      'Percent of the memory of a card that is used; 101 is never reached. Absent: any, as model servers fill it on purpose.',
    ),
});
type Options = z.output<typeof Options>;

export const check = defineCheck({
  kind: 'gpu',
  about: 'NVIDIA cards by nvidia-smi: lost cards, temperature, memory, and the errors (Xid) that the kernel tells.',
  options: Options,
  reach: 'host',
  resourceOf: () => all,
  observe,
  evidence: {
    about: 'the lines of the NVIDIA driver in the journal of the kernel, and the processes on the cards',
    gather,
  },
});

const kernelWords = String.raw`
xids() { limit 3 journalctl -k --no-pager -o short-iso --since "-$1" -n 5000 2>/dev/null | grep -E 'NVRM|nvidia' | tail -n 30; true; }
`;
const script = String.raw`${scriptHead}${journalAccess}${kernelWords}
part cards limit 8 nvidia-smi --query-gpu=${gpuColumns} --format=csv,noheader,nounits
part access access
part kernel xids 30min
`;

async function observe(options: Options, context: CheckContext): Promise<Observation[]> {
  const answer = await askHost(context, { script });
  if (!answer.ok) return [unseen({ condition: 'gpu-missing', resource: all }, answer.reason)];
  const cards = answer.sections.get('cards');
  if (cards === undefined || cards.code === 127 || cards.code === 126) {
    return [unseen({ condition: 'gpu-missing', resource: all }, '"nvidia-smi" is not installed')];
  }
  const gpus = parseGpus(cards.text);
  return [
    presence(gpus.length, cards, options),
    xids(answer.sections),
    ...gpus.flatMap((gpu) => observeGpu(gpu, options)),
  ];
}

/** The tool itself is there: a card that does not answer it is lost, a driver that does not is broken. */
function presence(found: number, cards: Section, options: Options): Observation {
  const wanted = options.count ?? 1;
  const isHung = cards.code === 124 || cards.code === 137;
  const complaint = cards.text
    .split('\n')
    .find((line) => /unable|failed|lost|no devices|error|insufficient/i.test(line));
  const why = isHung ? ': nvidia-smi does not end' : complaint === undefined ? '' : `: ${oneLine(complaint, 200)}`;
  return state({
    condition: 'gpu-missing',
    resource: all,
    summary: `${counted(found, 'card')} of ${wanted} or more ${found === 1 ? 'answers' : 'answer'}${why}`,
    ok: found >= wanted && complaint === undefined && !isHung,
    severity: 'critical',
  });
}

function xids(sections: ReadonlyMap<string, Section>): Observation {
  const said = { condition: 'gpu-error', resource: all };
  const fault = journalFault(sections.get('access'));
  if (fault !== undefined) return unseen(said, fault);
  const found = xidsIn(linesOf(sections, 'kernel'));
  const serious = found.filter(({ isHarmless }) => !isHarmless);
  const last = (serious.length > 0 ? serious : found).at(-1);
  return state({
    ...said,
    holdMs: 0,
    summary:
      last === undefined
        ? 'the driver told no errors within 30 minutes'
        : `${counted(found.length, 'error')} of the driver within 30 minutes, the last Xid ${last.xid}: ${last.line}`,
    ok: last === undefined,
    severity: serious.length > 0 ? 'critical' : 'info',
  });
}

const evidenceScript = String.raw`${scriptHead}${kernelWords}
part kernel xids 24h
part apps limit 3 nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv,noheader
`;

async function gather(_options: Options, context: CheckContext): Promise<Evidence[]> {
  const answer = await askHost(context, { script: evidenceScript, timeoutMs: 5_000 });
  if (!answer.ok) return [];
  const apps = answer.sections.get('apps')?.code === 0 ? linesOf(answer.sections, 'apps') : [];
  return [
    ...evidenceOf('log', 'Driver in the journal of the kernel', linesOf(answer.sections, 'kernel')),
    ...evidenceOf('state', 'Processes on the cards', apps),
  ];
}
