import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../parts/until.ts';
import type { Play } from './play.ts';
import { ownPlaybook } from './playbooks.ts';
import { story } from './stage.ts';

async function sleeps(play: Play): Promise<boolean> {
  return (await play.host.run('pgrep -fx "sleep 3333" || true')).trim() !== '';
}

story('a freeze', (stage) => {
  test('ends what runs within a second, holds over a restart, and ends when somebody says so', async () => {
    await using play = await stage.play({ config: { remediation: { playbooks: 'own' } } });
    mkdirSync(join(play.lares.folder, 'own'));
    const slow = ownPlaybook({ id: 'sleep-long', command: ['sleep', '3333'] });
    writeFileSync(join(play.lares.folder, 'own/sleep-long.yaml'), slow);
    await play.start();
    await play.breakUnit();
    const card = await play.proposal();
    expect((await play.approve(card).answered).text).toContain('Approved');
    await until(() => sleeps(play), 'the step to run');

    const frozenAt = Date.now();
    play.otto.say('/freeze enough');
    await until(async () => !(await sleeps(play)), 'the step to end', 10_000);
    // One second, and what it takes a busy machine to ask and to look from here; left alone it would take an hour.
    expect(Date.now() - frozenAt).toBeLessThan(5_000);
    await play.says(card, /stopped: frozen by telegram:102: enough/);

    await play.crash();
    await play.start();
    const asked = await play.lares.run(
      'run',
      'restart-systemd-unit',
      '--host',
      'web',
      '-p',
      `unit=${play.unit}`,
      '--json',
    );
    const digest = /--approve ([0-9a-f]{64})/.exec(asked.stdout)?.[1] ?? 'none';
    expect(digest).not.toBe('none');
    play.anna.say(`/run restart-systemd-unit web unit=${play.unit}`);
    const request = await play.telegram.message(
      ({ text, buttons }) =>
        text.includes('Asked for by') && buttons.flat().some((button) => button.text === 'Approve'),
    );
    expect((await play.approve(request).answered).text).toMatch(/frozen/i);
    expect(await play.starts()).toBe(1);

    expect((await play.lares.run('unfreeze')).status).toBe(0);
    await until(async () => (await play.approve(request).answered).text.includes('Approved'), 'the thaw');
    await play.says(request, /Run (verifying|succeeded|verified)/);
    expect(await play.starts()).toBe(2);
    expect(await play.isActive()).toBe(true);
  });
});
