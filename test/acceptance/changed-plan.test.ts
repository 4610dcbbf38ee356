import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Play } from './play.ts';
import { ownPlaybook } from './playbooks.ts';
import { story } from './stage.ts';

/** Anna approves; what the card says then, and whether anything ran. */
async function approved(play: Play): Promise<{ said: string; starts: number; isActive: boolean }> {
  const card = await play.proposal();
  await play.approve(card).answered;
  await play.says(card, /Not run: |\nfixed · /);
  const said = /Not run: .*/.exec(card.text)?.[0] ?? card.text;
  return { said, starts: await play.starts(), isActive: await play.isActive() };
}

function nothingRan(why: RegExp): object {
  return { said: expect.stringMatching(why) as unknown, starts: 1, isActive: false };
}

story('a plan that is not what was approved, by one byte', (stage) => {
  test('in the playbook of the person is refused, and says why', async () => {
    await using play = await stage.play({ config: { remediation: { playbooks: 'own' } } });
    const folder = join(play.lares.folder, 'own');
    const file = join(folder, 'start-shop.yaml');
    mkdirSync(folder);
    writeFileSync(file, ownPlaybook({ id: 'start-shop', command: ['systemctl', 'restart', '{unit}'] }));
    await play.start();
    await play.breakUnit();
    const card = await play.proposal();
    expect(card.text).toContain('start-shop');
    writeFileSync(file, readFileSync(file, 'utf8').replace('Made by hand', 'Made by hanD'));
    expect(await approved(play)).toEqual(
      nothingRan(/Not run: the playbook, the inventory or the configuration changed/),
    );
  });

  test('in the worker’s own record is refused, and says why', async () => {
    await using play = await stage.play();
    await play.start();
    await play.breakUnit();
    await play.proposal();
    const other = play.unit.replace('shop', 'shoq');
    const rows = new DatabaseSync(join(play.lares.folder, 'state/remediation/remediation.db'));
    rows.exec('PRAGMA busy_timeout = 5000');
    const { changes } = rows.prepare(`UPDATE plans SET body = replace(body, ?, ?)`).run(play.unit, other);
    rows.close();
    expect(changes).toBe(1);
    expect(await approved(play)).toEqual(nothingRan(/Not run: what was approved is not what was planned/));
  });

  test('in the host key of the configuration is refused, and says why', async () => {
    await using play = await stage.play();
    await play.start();
    await play.breakUnit();
    await play.proposal();
    await play.crash();
    const config = parse(readFileSync(play.lares.configFile, 'utf8')) as { hosts: { web: { hostKeys: string[] } } };
    config.hosts.web.hostKeys.push(`SHA256:${'A'.repeat(43)}`);
    play.lares.configure(config);
    await play.start();
    expect(await approved(play)).toEqual(
      nothingRan(/Not run: the playbook, the inventory or the configuration changed/),
    );
  });

  test('in the key that the host shows is refused, and says why', async () => {
    await using play = await stage.play();
    await play.start();
    await play.breakUnit();
    await play.proposal();
    // Lares starts anew, so that no connection from before is left.
    await play.crash();
    await play.host.run(`
cd /etc/ssh && cp ssh_host_ed25519_key /root/old && cp ssh_host_ed25519_key.pub /root/old.pub
rm ssh_host_ed25519_key* && ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key
systemctl restart ssh`);
    try {
      await play.lares.start();
      expect(await approved(play)).toEqual(nothingRan(/Not run: .*host key/i));
    } finally {
      await play.host.run(`
cp /root/old /etc/ssh/ssh_host_ed25519_key && cp /root/old.pub /etc/ssh/ssh_host_ed25519_key.pub
systemctl restart ssh`);
    }
  });
});
