import { beforeAll, describe, expect, test } from 'vitest';
import { allowSudo, as, checkOf, fillDisk, fix, logins, otherFiles, usedPercent } from './library-host.ts';
import { story } from './stage.ts';

story(
  'a filesystem that is full',
  (stage) => {
    const run = (script: string): Promise<string> => stage.host.run(script);

    beforeAll(() => allowSudo(run));

    describe.each(logins)('as %s', (login) => {
      const sudo = login === 'root' ? '' : 'sudo -n ';

      test('gets room from the journal and from packages, and loses nothing else', async () => {
        await fillDisk(run);
        const before = await usedPercent(run);
        const files = await otherFiles(run);
        expect(before).toBeGreaterThan(85);
        const parts = ['inodes', 'memory', 'swap', 'load', 'clock', 'reboot', 'updates', 'ports'];
        await using play = await stage.play(as(login, { checks: [checkOf('host-resources', { off: parts })] }));
        await play.start();
        await fix(play, '/', [
          `${sudo}journalctl --rotate`,
          `${sudo}journalctl --vacuum-size=200M`,
          `${sudo}apt-get clean`,
        ]);
        expect(await usedPercent(run)).toBeLessThan(before - 25);
        expect((await run('ls /var/cache/apt/archives')).includes('.deb')).toBe(false);
        const journal = await run('du -sm /var/log/journal');
        expect(Number.parseInt(journal, 10)).toBeLessThan(260);
        expect(await otherFiles(run)).toBe(files);
      }, 240_000);
    });
  },
  { disk: '900M' },
);
