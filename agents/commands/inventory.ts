import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { Failure } from '#bus/failure.ts';
import { type FoundNode, type InventoryPicture, inventory } from '#bus/messages/inventory.ts';
import { systemClock } from '../runtime/clock.ts';
import { ask } from '../sentinel/inventory/ask.ts';
import { pictureOf } from '../sentinel/inventory/picture.ts';
import { bindShippedSources } from '../sentinel/inventory/registry.ts';
import { nothingSaid, remember, type Said } from '../sentinel/inventory/remember.ts';
import { createProbes } from '../sentinel/probe.ts';
import { counted } from '../sentinel/probes/text.ts';
import { cut, visibleLine } from '../triage/render/visible.ts';
import { bindLoaded } from './checks-of.ts';
import { addCommand, type CommandContext, exitStatus } from './command.ts';
import { withConsole } from './console.ts';
import { watchedBy } from './watched-by.ts';

/** A retained message arrives at once; so long is waited for one that never comes. */
const settleMs = 1_000;

/** `lares inventory`: what there is, who says so, where they disagree, and what nobody watches. */
export function addInventory(program: Command): void {
  addCommand(program, {
    name: 'inventory',
    about: 'Show the fleet: what is written and what was found, conflicts, and what is not watched',
    options: [['--now', 'ask the sources now instead of the running Lares', false]],
    run,
  });
}

async function run(context: CommandContext): Promise<number> {
  const checks = await bindLoaded(context.loaded);
  const picture = (context.flag('now') ? undefined : await toldInventory(context)) ?? (await look(context));
  const rows = picture.nodes.map((node) => ({ ...node, watchedBy: watchedBy(node, checks) }));
  if (context.json) context.printJson({ ...picture, nodes: rows });
  else printAll(context, picture, rows);
  const isWell = picture.conflicts.length + picture.missing.length === 0;
  return isWell && picture.sources.every(({ trouble }) => trouble === undefined) ? exitStatus.well : exitStatus.wrong;
}

/** What the running sentinel tells; undefined when nothing runs or it told nothing. */
export async function toldInventory(context: CommandContext): Promise<InventoryPicture | undefined> {
  const pictures: InventoryPicture[] = [];
  try {
    await withConsole(context, async (bus) => {
      const heard = Promise.withResolvers<void>();
      bus.subscribe(inventory, (picture) => {
        pictures.push(picture);
        heard.resolve();
      });
      await Promise.race([heard.promise, sleep(settleMs, undefined, { signal: context.signal })]);
    });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
  }
  return pictures.at(-1);
}

/** Asks every source once; what is kept of earlier looks belongs to the running sentinel. */
async function look(context: CommandContext): Promise<InventoryPicture> {
  const { config, baseFolder } = context.loaded;
  const { sources } = await bindShippedSources(config);
  const probes = createProbes({ config, clock: systemClock, log: context.log });
  const around = { clock: systemClock, signal: context.signal, baseFolder, hosts: config.hosts, probes };
  try {
    const said = new Map<string, Said>();
    await Promise.all(
      sources.map(async (source) => {
        if (!context.json) process.stderr.write(`asking ${source.id} ...\n`);
        said.set(source.id, remember(nothingSaid, await ask(source, around), systemClock.now()));
      }),
    );
    return pictureOf({ sentinel: 'console', config, sources, said, now: systemClock.now() });
  } finally {
    await probes.close();
  }
}

type Row = FoundNode & { watchedBy: string[] };

function printAll(context: CommandContext, picture: InventoryPicture, rows: readonly Row[]): void {
  const header = ['name', 'type', 'on', 'address', 'told by', 'watched by'];
  const fresh = new Set(picture.fresh);
  const missing = new Set(picture.missing);
  const lines = rows.map((row) => [
    `${row.name}${fresh.has(row.name) ? ' (new)' : ''}${missing.has(row.name) ? ' (missing)' : ''}`,
    row.type,
    row.on ?? '',
    row.address ?? '',
    [...(row.written ? ['written'] : []), ...row.sources].join(', '),
    row.watchedBy.length === 0 ? 'nobody' : counted(row.watchedBy.length, 'check'),
  ]);
  for (const line of table([header, ...lines])) context.print(line);
  for (const { name, field, said } of picture.conflicts) {
    const sides = said.map(({ source, value }) => `${source} says "${value}"`).join(', ');
    context.print(visibleLine(`conflict: ${field} of ${name}: ${sides}`));
  }
  for (const { source, trouble, notes } of picture.sources) {
    if (trouble !== undefined) context.print(visibleLine(`${source} does not answer: ${trouble}`));
    for (const note of notes) context.print(visibleLine(`${source}: ${note}`));
  }
  const unwatched = rows.filter(({ watchedBy: by }) => by.length === 0).length;
  const counts = [
    counted(rows.length, 'node'),
    `${picture.fresh.length} new`,
    `${picture.missing.length} missing`,
    counted(picture.conflicts.length, 'conflict'),
    `${unwatched} not watched`,
  ];
  context.print(counts.join(', '));
}

/** A foreign name must not push the other columns away. */
const widestCell = 60;

/** Columns as wide as their widest cell. */
function table(rows: readonly (readonly string[])[]): string[] {
  const shown = rows.map((row) => row.map((cell) => cut(visibleLine(cell), widestCell)));
  const widths = (shown[0] ?? []).map((_cell, column) => Math.max(...shown.map((row) => row[column]?.length ?? 0)));
  return shown.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
