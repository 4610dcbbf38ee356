import { beforeAll, describe, expect, test } from 'vitest';
import { until } from '../parts/until.ts';
import { createAuthority } from '../parts/certificates.ts';
import { approveAsked, type Asked } from './asked.ts';
import { allowSudo, as, checkOf, fix, logins, makeOldFiles, startNginx, workerPids } from './library-host.ts';
import { story } from './stage.ts';

story(
  'the playbooks that ship',
  (stage) => {
    const run = (script: string): Promise<string> => stage.host.run(script);

    beforeAll(async () => {
      await allowSudo(run);
      await run(`
mkdir -p /tmp/image/bin && cp /bin/busybox /tmp/image/bin/sh
for name in rm test touch sleep; do ln -s sh /tmp/image/bin/$name; done
systemctl start docker
tar -C /tmp/image -c . | docker import - shop:1
usermod -aG docker lares`);
    }, 120_000);

    describe.each(logins)('as %s', (login) => {
      const sudo = login === 'root' ? '' : 'sudo -n ';

      test('a unit at its start limit is reset and started', async () => {
        await run(`
cat > /etc/systemd/system/shop.service <<'END'
[Unit]
StartLimitIntervalSec=1h
StartLimitBurst=1
[Service]
ExecStart=/bin/sh -c 'test ! -e /run/shop-broken && exec sleep infinity'
Restart=always
RestartSec=50ms
END
systemctl daemon-reload; systemctl reset-failed shop || true; systemctl restart shop`);
        const units = checkOf('systemd-unit', { units: ['shop.service'] });
        await using play = await stage.play(as(login, { checks: [units] }));
        await play.start();
        await run(
          'touch /run/shop-broken; systemctl kill -s KILL shop; until systemctl is-failed -q shop; do sleep 0.1; done',
        );
        await run('rm /run/shop-broken');
        // What a plain start would have come to.
        await expect(run('systemctl start shop')).rejects.toThrow(/Job for shop.service failed/);
        await fix(play, 'shop.service', [
          `${sudo}systemctl reset-failed shop.service`,
          `${sudo}systemctl start shop.service`,
        ]);
        expect((await run('systemctl is-active shop')).trim()).toBe('active');
      });

      test('an unhealthy container is restarted', async () => {
        await run(`
docker rm -f shop 2>/dev/null
docker run -d --name shop --network none --health-cmd 'test ! -e /sick' --health-interval 1s --health-retries 1 \\
  shop:1 sh -c 'rm -f /sick; while :; do sleep 1; done'`);
        const containers = checkOf('docker-container', { containers: ['shop'] });
        await using play = await stage.play(as(login, { checks: [containers] }));
        await play.start();
        const pid = await run('docker inspect -f {{.State.Pid}} shop');
        await run('docker exec shop touch /sick');
        await fix(play, 'shop', [`${sudo}docker restart -t 10 shop`]);
        expect((await run('docker inspect -f {{.State.Health.Status}} shop')).trim()).toBe('healthy');
        expect(await run('docker inspect -f {{.State.Pid}} shop')).not.toBe(pid);
      });

      test('nginx shows its new certificate without dropping a download', async () => {
        using authority = createAuthority();
        await startNginx(run, authority);
        const site = checkOf('tls-expiry', {
          address: stage.host.address,
          tlsName: 'shop.example.org',
          labels: { unit: 'nginx.service' },
          caFile: authority.caFile,
        });
        await using play = await stage.play(as(login, { checks: [site] }));
        await play.start();
        const card = await play.proposal('shop.example.org');
        const workers = await workerPids(run);
        // Two seconds of download at the least, and some more than the reload takes.
        const download = run(
          'curl -sS -k --resolve shop.example.org:443:127.0.0.1 --limit-rate 400k https://shop.example.org/big | sha256sum',
        );
        await until(async () => (await run('ss -Htn state established "( sport = :443 )"')) !== '', 'the download');
        await run('cp /etc/nginx/new.pem /etc/nginx/site.pem; cp /etc/nginx/new.key /etc/nginx/site.key');
        expect(card.text).toContain(`${sudo}nginx -t`);
        expect((await play.approve(card).answered).text).toContain('Approved');
        await until(async () => !(await workerPids(run)).some((pid) => workers.includes(pid)), 'new workers', 60_000);
        await play.fixed(card, 120_000);
        expect(await download).toBe(await run('sha256sum < /var/www/html/big'));
      }, 240_000);

      test('nginx with a wrong configuration is not reloaded, and it is said why', async () => {
        using authority = createAuthority();
        await startNginx(run, authority);
        const workers = await workerPids(run);
        await run('echo "nonsense on;" > /etc/nginx/conf.d/wrong.conf');
        await using play = await stage.play(as(login, {}));
        await play.start();
        const asked = await approveAsked(play.lares, 'reload-nginx', []);
        expect(asked.run).toMatchObject({ end: 'failed', steps: [{ status: 'failed' }, { status: 'skipped' }] });
        expect(asked.run?.steps[0]?.output).toContain('unknown directive "nonsense"');
        expect(await workerPids(run)).toEqual(workers);
        await run('rm /etc/nginx/conf.d/wrong.conf');
        expect((await approveAsked(play.lares, 'reload-nginx', [])).run?.end).toBe('succeeded');
        expect(await workerPids(run)).not.toEqual(workers);
      });

      test('only old plain files of one filesystem below the named folder are deleted', async () => {
        await makeOldFiles(run);
        await using play = await stage.play(as(login, { remediation: { freePaths: ['/srv/cache', '/srv/link'] } }));
        await play.start();
        const ask = (path: string): Promise<Asked> =>
          approveAsked(play.lares, 'delete-old-files', [`path=${path}`, 'days=30']);
        for (const path of ['/srv', '/srv/cache/../keep', '/etc', '/']) {
          expect((await ask(path)).plan).toMatchObject({ status: 'refused', reason: expect.stringMatching(/must/) });
        }
        for (const path of ['/srv/link', '/srv/cache/link', '/srv/cache/missing']) {
          expect((await ask(path)).plan).toMatchObject({
            status: 'refused',
            reason: expect.stringMatching(/no part of its path is a link/),
          });
        }
        expect((await ask('/srv/cache')).run).toMatchObject({ end: 'succeeded' });
        expect((await run('cd /srv && find . ! -type d | sort')).trim().split('\n')).toEqual([
          './cache/link',
          './cache/mounted/old',
          './cache/odd\\nname young',
          './cache/pipe',
          './cache/to-file',
          './cache/young',
          './keep/old',
          './link',
        ]);
      });
    });
  },
  { services: true, nesting: true },
);
