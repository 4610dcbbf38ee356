import { expect, test } from 'vitest';
import { wholeJournals } from './play.ts';
import { story } from './stage.ts';

story('Lares that is killed', (stage) => {
  test('between the card and the tap sends no second card and runs exactly once', async () => {
    await using play = await stage.play();
    await play.start();
    await play.breakUnit();
    const card = await play.proposal();
    await play.crash();
    await play.start();
    expect(card.buttons.flat().map(({ text }) => text)).toContain('Approve');
    expect((await play.approve(card).answered).text).toContain('Approved');
    await play.fixed(card);
    expect(play.cards()).toEqual([card]);
    expect(await play.starts()).toBe(2);
    expect(await play.audit()).toEqual(wholeJournals);
  });

  test('hears a tap that was given while it was down, once', async () => {
    await using play = await stage.play();
    await play.start();
    await play.breakUnit();
    const card = await play.proposal();
    await play.delivered();
    await play.crash();
    const tap = play.approve(card);
    await play.start();
    expect((await tap.answered).text).toContain('Approved');
    await play.fixed(card);
    expect(play.telegram.pending).toBe(0);
    expect(await play.starts()).toBe(2);

    await play.crash();
    await play.start();
    expect((await play.openIncidents()).length).toBe(0);
    expect(await play.starts()).toBe(2);
    expect(play.cards()).toEqual([card]);
  });

  test('right after the tap runs it at most once, and the card says how it ended', async () => {
    await using play = await stage.play();
    await play.start();
    await play.breakUnit();
    const card = await play.proposal();
    await play.approve(card).answered;
    await play.crash();
    await play.start();
    // Taken and not begun when it was killed: refused, and asked for again. Otherwise it ran.
    await play.says(card, /\nfixed · |Not run: /);
    expect(await play.starts()).toBe(/\nfixed · /.test(card.text) ? 2 : 1);
  });
});
