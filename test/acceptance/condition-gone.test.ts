import { expect, test } from 'vitest';
import { story } from './stage.ts';

story('a service that came back before the tap', (stage) => {
  test('is not touched, and the card says so', async () => {
    // Sentinel looks once and then not for long: it cannot withdraw the plan before the tap.
    await using play = await stage.play({ check: { every: '10m', for: '0s' } });
    await play.breakUnit();
    await play.start();
    const card = await play.proposal();
    await play.host.run(`systemctl start ${play.unit}`);
    expect(await play.starts()).toBe(2);

    expect((await play.approve(card).answered).text).toContain('Approved');
    await play.says(card, /Not run: the condition is already gone/);
    expect(await play.starts()).toBe(2);
  });

  test('has its plan withdrawn as soon as sentinel sees it, and nothing is left to tap', async () => {
    await using play = await stage.play();
    await play.start();
    await play.breakUnit();
    const card = await play.proposal();
    const button = card.buttons.flat().find(({ text }) => text === 'Approve');
    await play.host.run(`systemctl start ${play.unit}`);
    await play.says(card, /\nresolved · /);
    expect(card.buttons).toEqual([]);

    card.buttons = [[{ text: 'Approve', data: button?.data ?? '' }]];
    expect((await play.approve(card).answered).text).toMatch(/withdrawn|over/i);
    expect(await play.starts()).toBe(2);
  });
});
