import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../parts/until.ts';
import { hasButton, type Play, wholeJournals } from './play.ts';
import { story } from './stage.ts';

/** A state folder of its own size. Ends with the play's folder. */
function mountState(play: Play): Disposable & { folder: string } {
  const folder = join(play.lares.folder, 'state');
  mkdirSync(folder, { mode: 0o700 });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24M,mode=700', 'lares-story', folder]);
  return { folder, [Symbol.dispose]: () => void execFileSync('umount', ['-l', folder]) };
}

/** Until not one more page fits. */
function fill(folder: string): void {
  const file = join(folder, 'ballast');
  for (let number = 0; statfsSync(folder).bfree > 0; number += 1) {
    try {
      writeFileSync(`${file}-${number}`, Buffer.alloc(statfsSync(folder).bfree * 4_096));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    }
  }
}

function drain(folder: string): void {
  for (let number = 0; number < 50; number += 1) rmSync(join(folder, `ballast-${number}`), { force: true });
}

/** What the process says of itself, with its status. */
async function healthOf(play: Play): Promise<string> {
  const address = /"health":"([^"]+)"/.exec(play.lares.output)?.[1] ?? '';
  const response = await fetch(`${address}/healthz`);
  return `${response.status} ${await response.text()}`;
}

story('a full disk', (stage) => {
  test('is told loudly, and when there is room again nothing that was acknowledged is lost', async () => {
    await using play = await stage.play();
    using state = mountState(play);
    await play.start();
    await play.breakUnit();
    const card = await play.proposal();
    fill(state.folder);

    const answers: string[] = [];
    const tap = (): void => void play.approve(card).answered.then(({ text }) => answers.push(text));
    tap();
    await until(() => /full/i.test(play.lares.output), 'a word about the disk', 60_000);
    await until(() => answers.length > 0, 'an answer to the tap');
    expect(answers[0]).toMatch(/is full|Approved/);
    drain(state.folder);
    // A tap that was answered with less than "Approved" changed nothing; a person taps again.
    await until(() => play.telegram.pending === 0, 'the tap to be taken', 60_000);
    if (!answers.some((text) => text.includes('Approved')) && hasButton(card, 'Approve')) tap();
    await play.fixed(card, 120_000);
    expect(await play.starts()).toBe(2);
    expect(await play.audit()).toEqual(wholeJournals);
    await play.lares.end('SIGKILL');
  }, 300_000);

  test('right after the tap runs what was approved at most once, and the card says what became of it', async () => {
    await using play = await stage.play();
    using state = mountState(play);
    await play.start();
    await play.breakUnit();
    const card = await play.proposal();
    await play.delivered();
    expect((await play.approve(card).answered).text).toContain('Approved');
    fill(state.folder);
    await until(() => /full/i.test(play.lares.output), 'a word about the disk', 60_000);
    // Long enough for every timer of every agent to meet it.
    await sleep(20_000);
    expect(await healthOf(play)).toMatch(/^503 .*"state":"no space is left"/);
    expect(await play.starts()).toBeLessThanOrEqual(2);
    drain(state.folder);
    expect(await healthOf(play)).toContain('"state":"ok"');
    await play.says(card, /\n(fixed|resolved) · |Not run: /, 120_000);
    expect(await play.starts()).toBe(/Not run: /.test(card.text) ? 1 : 2);
    expect(await play.audit()).toEqual(wholeJournals);
    await play.lares.end('SIGKILL');
  }, 300_000);
});
