import { expect, test } from 'vitest';
import { wholeJournals } from './play.ts';
import { story } from './stage.ts';

story('a tap', (stage) => {
  test('of anybody but an approver runs nothing and is answered so', async () => {
    await using play = await stage.play();
    await play.start();
    await play.breakUnit();
    const card = await play.proposal();
    expect((await play.approve(card, play.mallory).answered).text).toContain('belongs to somebody else');
    expect((await play.approve(card, play.rita).answered).text).toBe('You may not approve.');
    expect((await play.approve(card, play.otto).answered).text).toBe('You may not approve.');
    expect(card.text).toContain('firing');
    // The approver's tap is handled after theirs: were one of them accepted, this one would be the second.
    expect((await play.approve(card).answered).text).toContain('Approved');
    await play.fixed(card);
    expect(await play.starts()).toBe(2);
    expect(await play.audit()).toEqual(wholeJournals);
  });

  test('after the decision runs nothing more and learns who decided; so does a tap on an old card', async () => {
    await using play = await stage.play();
    await play.start();
    await play.breakUnit();
    const card = await play.proposal();
    const [button] = card.buttons.flat().filter(({ text }) => text === 'Approve');
    const first = play.approve(card);
    const second = play.approve(card);
    expect((await first.answered).text).toContain('Approved');
    expect((await second.answered).text).toMatch(/already approved by Anna/i);
    await play.fixed(card);
    expect(await play.starts()).toBe(2);

    // An old phone still shows the card as it was, with its button.
    card.buttons = [[{ text: 'Approve', data: button?.data ?? '' }]];
    expect((await play.approve(card).answered).text).toMatch(/already approved by Anna/i);
    expect(await play.starts()).toBe(2);
  });
});
