import { expect, test } from 'vitest';
import { until } from '../parts/until.ts';
import { story } from './stage.ts';

story(
  'power',
  (stage) => {
    test('through sudo for a login that is not root', async () => {
      await using play = await stage.play({ actAs: 'lares', host: { sudo: true } });
      await play.start();
      await play.breakUnit();
      const card = await play.proposal();
      expect(card.text).toContain(`sudo -n systemctl restart ${play.unit}`);
      expect((await play.approve(card).answered).text).toContain('Approved');
      await play.fixed(card);
      expect(await play.starts()).toBe(2);
    });

    test('that a login does not have ends in words, and changes nothing', async () => {
      await using play = await stage.play({ actAs: 'lares' });
      await play.start();
      await play.breakUnit();
      const card = await play.proposal();
      expect((await play.approve(card).answered).text).toContain('Approved');
      await play.says(card, /(Access denied|Interactive authentication required|Failed to restart)/);
      expect(await play.starts()).toBe(1);
    });

    test('over a container: it is told, restarted once and proved', async () => {
      const { host } = stage;
      await host.run(`
systemctl start docker
mkdir -p /tmp/image/bin && cp /bin/busybox /tmp/image/bin/sh
tar -C /tmp/image -c . | docker import - shop:1
docker run -d --name shop shop:1 sh -c 'echo start; while :; do sleep 1; done'
usermod -aG docker lares`);
      const containers = {
        id: 'containers',
        kind: 'docker-container',
        host: 'web',
        every: '1s',
        for: '1s',
        containers: ['shop'],
      };
      await using play = await stage.play({ config: { checks: [containers] } });
      await play.start();
      await host.run('docker kill shop');
      const card = await play.proposal('shop');
      expect(card.text).toContain('docker restart');
      expect((await play.approve(card).answered).text).toContain('Approved');
      await play.fixed(card, 90_000);
      expect((await host.run('docker logs shop')).trim()).toBe('start\nstart');
      await until(
        async () => (await host.run('docker inspect -f {{.State.Running}} shop')).trim() === 'true',
        'it to run',
      );
    }, 240_000);
  },
  { services: true, nesting: true },
);
