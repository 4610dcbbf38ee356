import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hasMosquitto, startMosquitto } from '../parts/mosquitto.ts';
import { wholeJournals } from './play.ts';
import { story } from './stage.ts';

if (!hasMosquitto && process.env['LARES_REQUIRE_PARTS'] === '1') throw new Error('Mosquitto is required');

story('a broker that is killed', (stage) => {
  test.skipIf(!hasMosquitto)(
    `between the finding and the tap, and after it, loses and repeats nothing${hasMosquitto ? '' : ' (SKIPPED: no mosquitto)'}`,
    async () => {
      await using broker = await startMosquitto();
      const bus = { url: broker.url, user: '{agent}', password: { file: '{agent}.password' } };
      await using play = await stage.play({ config: { bus } });
      for (const [agent, password] of Object.entries(broker.credentials)) {
        writeFileSync(join(play.lares.folder, `${agent}.password`), password, { mode: 0o600 });
      }
      await play.start();
      await play.breakUnit();
      await broker.kill();
      await broker.restart();
      const card = await play.proposal();

      await broker.kill();
      expect((await play.approve(card).answered).text).toContain('Approved');
      expect(await play.starts()).toBe(1);
      await broker.restart();
      await play.says(card, /\n(fixing|fixed) · /);
      await broker.kill();
      await broker.restart();
      await play.fixed(card, 90_000);
      expect(play.cards()).toEqual([card]);
      expect(await play.starts()).toBe(2);
      expect(await play.audit()).toEqual(wholeJournals);
    },
    180_000,
  );
});
