import { expect, test } from 'vitest';
import { story } from './stage.ts';

story('a fix that does not hold', (stage) => {
  test('is called not fixed in the same message, and that playbook is not offered there again', async () => {
    await using play = await stage.play({ command: 'sleep 1; exit 1' });
    await play.host.run(`until systemctl is-failed -q ${play.unit}; do sleep 0.1; done`);
    await play.start();
    const card = await play.proposal();
    expect(card.text).toContain(`systemctl restart ${play.unit}`);
    expect((await play.approve(card).answered).text).toContain('Approved');

    // A service may need a moment to come up, so sentinel takes its time before it says no.
    await play.says(card, /Not fixed: /, 120_000);
    expect(card.text).toMatch(/\n(not-fixed|firing) · /);
    expect(play.cards()).toEqual([card]);
    expect((await play.openIncidents()).length).toBe(1);
    expect(await play.starts()).toBe(2);
    await play.says(card, /Not proposed: |Proposed: Forget/);
    expect(card.text).not.toContain(`systemctl restart ${play.unit}\n`);

    const again = await play.lares.run(
      'run',
      'restart-systemd-unit',
      '--host',
      'web',
      '-p',
      `unit=${play.unit}`,
      '--json',
    );
    expect(again.status).toBe(1);
    expect(again.stdout).toMatch(/blocked/);
    expect(await play.starts()).toBe(2);
  }, 240_000);
});
