import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { type Finding, findingLines } from '../doctor/finding.ts';
import { examineHosts } from '../doctor/hosts.ts';
import { examineModels } from '../doctor/models.ts';
import { examineState } from '../doctor/state.ts';
import { examineTelegram } from '../doctor/telegram.ts';
import { secretLines, writeSecrets } from '../import/secret-files.ts';
import { answerOf } from '../init/choose.ts';
import { lookAround } from '../init/look.ts';
import { type Found, type Proposal, standing } from '../init/proposal.ts';
import { configText } from '../init/write.ts';
import { visibleLine } from '../triage/render/visible.ts';
import { askPerson } from './ask.ts';
import { bindLoaded, loadWithKinds } from './checks-of.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { refuseToReplace, writeNewFile } from './new-file.ts';

/** `lares init`: looks around, shows what it found, and writes a configuration of what was chosen. */
export function addInit(program: Command): void {
  addCommand(program, {
    name: 'init',
    about: 'Look around, choose what is watched, write lares.yaml, and try it',
    options: [
      ['--ssh <user@host>', 'look at a host over SSH; may be repeated', [] as string[]],
      ['--key <file>', 'private key for SSH; default: the agent, else the usual one in ~/.ssh'],
      ['--proxmox <url>', 'look at a Proxmox cluster, with --token-file'],
      ['--token-file <file>', 'file with the API token of Proxmox'],
      ['--docker', 'look at the containers of this machine', false],
      ['--ansible <file>', 'take the hosts of an Ansible inventory'],
      ['--uptime-kuma <file>', 'take the monitors of a backup of Uptime Kuma'],
      ['--gatus <file>', 'take the endpoints of a Gatus configuration'],
      ['--prometheus-rules <file>', 'take alerting rules'],
      ['--prometheus <url>', 'ask a Prometheus whom it scrapes; it evaluates the rules too'],
      ['--host <name>', 'host on which monitors of containers look'],
      ['--yes', 'take what is preselected and ask nothing', false],
      ['--force', 'replace a configuration that is there', false],
    ],
    standsAlone: true,
    run,
  });
}

async function run(context: CommandContext): Promise<number> {
  const file = resolve(context.option('config') ?? 'lares.yaml');
  const isAsked = process.stdin.isTTY && !context.json && !context.flag('yes');
  if (isAsked || context.flag('yes')) refuseToReplace(file, context.flag('force'));
  const say = (text: string): void => void process.stderr.write(`  ${visibleLine(text)}\n`);
  const found = await lookAround({ context, say });
  const chosen = isAsked ? await choose(context, found) : found.proposals;
  if (chosen === undefined) {
    context.print('Nothing was written.');
    return exitStatus.interrupted;
  }
  if (!isAsked && !context.flag('yes')) {
    plan(context, found);
    return exitStatus.usage;
  }
  return write(context, { file, found, chosen });
}

/** Nobody is there to choose: what would be written is shown, and nothing is. */
function plan(context: CommandContext, found: Found): void {
  const { kept } = standing(found.proposals);
  if (context.json) return context.printJson({ written: null, ...facts(found), text: configText('home', kept) });
  show(context, found);
  context.print('Nothing was written: choose in a terminal, or say --yes to take what is marked.');
}

async function choose(context: CommandContext, found: Found): Promise<Proposal[] | undefined> {
  let { proposals } = found;
  show(context, found);
  for (;;) {
    const question = 'Numbers to change (2 5-7, all, none), Enter to write it, q to leave: ';
    const text = await askPerson(question, context.signal);
    const answer = text === undefined ? undefined : answerOf(text, proposals);
    if (answer === undefined || answer.is === 'quit') return undefined;
    if (answer.is === 'write') return proposals;
    ({ proposals } = answer);
    show(context, { proposals, remarks: [] });
    for (const word of answer.unknown) context.print(`There is no number "${visibleLine(word)}".`);
  }
}

function show(context: CommandContext, { proposals, remarks }: Found): void {
  const width = String(proposals.length).length;
  for (const [index, { isSelected, text }] of proposals.entries()) {
    context.print(`${isSelected ? '[x]' : '[ ]'} ${String(index + 1).padStart(width)}  ${visibleLine(text)}`);
  }
  for (const remark of remarks) context.print(`    ${visibleLine(remark)}`);
}

async function write(
  context: CommandContext,
  { file, found, chosen }: { file: string; found: Found; chosen: readonly Proposal[] },
): Promise<number> {
  const { kept, dropped } = standing(chosen);
  writeNewFile(file, configText('home', kept), context.flag('force'));
  const secrets = writeSecrets(
    kept.flatMap((one) => one.secrets),
    dirname(file),
  );
  if (!context.json) {
    if (context.flag('yes')) show(context, found);
    for (const text of dropped) context.print(`left out: ${visibleLine(text)}`);
    for (const line of [`Wrote ${file}`, ...secretLines(secrets)]) context.print(line);
  }
  const findings = await prove(context, file);
  if (context.json) {
    const files = { written: file, secrets: secrets.written, keptSecrets: secrets.kept };
    context.printJson({ ...files, dropped, ...facts(found), findings });
  } else {
    context.print('Next: "lares check" looks once, "lares up" starts.');
  }
  return findings.every((finding) => finding.ok) ? exitStatus.well : exitStatus.wrong;
}

/** The looks of `lares doctor` at what was written, without those at agents that nobody started yet. */
async function prove(context: CommandContext, file: string): Promise<Finding[]> {
  const loaded = await loadWithKinds(file);
  await bindLoaded(loaded);
  const written = { ...context, loaded };
  const findings: Finding[] = [];
  for (const examine of [examineState, examineHosts, examineTelegram, examineModels]) {
    for await (const finding of examine(written)) {
      findings.push(finding);
      if (!context.json) for (const line of findingLines(finding)) context.print(line);
    }
  }
  return findings;
}

function facts({ proposals, remarks }: Found): object {
  return {
    proposals: proposals.map(({ secrets: _secrets, ...one }, index) => ({ number: index + 1, ...one })),
    remarks,
  };
}
