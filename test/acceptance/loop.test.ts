import { expect, test } from 'vitest';
import { wholeJournals } from './play.ts';
import { story } from './stage.ts';

story('a service that was killed', (stage) => {
  test('is told in one message, fixed by one tap, and proved in the same message', async () => {
    await using play = await stage.play();
    await play.start();
    const startsBefore = await play.starts();
    await play.breakUnit();
    const brokenAt = Date.now();

    const card = await play.proposal();
    expect(Date.now() - brokenAt).toBeLessThan(20_000);
    expect(play.telegram.messages(play.anna.id)).toHaveLength(1);
    expect(card.text).toContain(play.unit);
    expect(card.text).toContain(`systemctl restart ${play.unit}`);
    expect(card.text).toMatch(/sha256 [0-9a-f]{64}/);
    await play.says(card, /Main process exited, code=killed, status=9\/KILL/);
    expect(await play.starts()).toBe(startsBefore);

    const tappedAt = Date.now();
    expect((await play.approve(card).answered).text).toContain('Approved');
    await play.fixed(card);
    expect(Date.now() - tappedAt).toBeLessThan(30_000);
    expect(play.cards()).toEqual([card]);
    expect(card.versions.some((text) => text.includes('Approved by Anna'))).toBe(true);
    expect(card.buttons).toEqual([]);
    expect(await play.isActive()).toBe(true);
    expect(await play.starts()).toBe(startsBefore + 1);
    expect(await play.audit()).toEqual(wholeJournals);
  });

  test('is not told again after a stop and a start of Lares', async () => {
    await using play = await stage.play();
    await play.start();
    await play.breakUnit();
    const card = await play.proposal();
    expect(await play.lares.end('SIGTERM')).toBe(0);
    await play.start();
    expect(play.cards()).toEqual([card]);
    expect((await play.approve(card).answered).text).toContain('Approved');
    await play.fixed(card);
    expect(play.cards()).toEqual([card]);
    expect(await play.starts()).toBe(2);
  });
});
