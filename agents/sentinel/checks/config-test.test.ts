import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CommandRunner } from '#agents/runtime/command.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import type { Observation } from '#agents/sentinel/check.ts';
import { complaintsIn } from '#agents/sentinel/probes/config-programs.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './config-test.ts';

kindContract(check, () => ({ program: 'nginx' }));

const look = (given: object, probe: CommandRunner = localRunner): Promise<Observation[]> =>
  check.observe(check.options.parse(given), checkContext({ probe }));

let folder = '';
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'lares-config-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

describe('what programs say', () => {
  test('is told apart into errors and warnings, without what is well', () => {
    const nginx = `nginx: [warn] conflicting server name "a" on 0.0.0.0:80, ignored
nginx: [emerg] unknown directive "bogus" in /etc/nginx/sites-enabled/a:3
nginx: configuration file /etc/nginx/nginx.conf test failed`;
    expect(complaintsIn(nginx)).toEqual({
      errors: [
        'nginx: [emerg] unknown directive "bogus" in /etc/nginx/sites-enabled/a:3',
        'nginx: configuration file /etc/nginx/nginx.conf test failed',
      ],
      warnings: ['nginx: [warn] conflicting server name "a" on 0.0.0.0:80, ignored'],
    });
    expect(complaintsIn('zone localhost/IN: loaded serial 2\nzone lan/IN: not loaded due to errors.').errors).toEqual([
      'zone lan/IN: not loaded due to errors.',
    ]);
  });

  test('to a login that may not read everything is unknown, with what to do', async () => {
    const refused = { text: 'nginx: [emerg] open() "/run/nginx.pid" failed (13: Permission denied)', code: 1 };
    const probe = answering(sectionsText({ id: '1000', there: '', test: refused, done: '' }));
    expect(problems(await look({ program: 'nginx' }, probe))).toEqual([
      'unknown config-invalid nginx: only root may read the whole configuration of nginx: set "sudo: true" and allow the read login the commands that the kind names for it in agents/sentinel/checks/README.md',
    ]);
  });

  test('of a program that is not there is unknown', async () => {
    const probe = answering(
      sectionsText({ id: '0', there: { text: '', code: 1 }, test: { text: '', code: 127 }, done: '' }),
    );
    expect(problems(await look({ program: 'haproxy' }, probe))).toEqual([
      'unknown config-invalid haproxy: "/usr/sbin/haproxy" is not there',
    ]);
  });
});

describeWith(['caddy'], 'Caddy', () => {
  test('with a good file would load; nothing of the file leaves the host', async () => {
    const path = file('Caddyfile', 'a.example {\n\tbasicauth {\n\t\tme JDJhJDE0JHNlY3JldA==\n\t}\n\trespond hi\n}\n');
    const seen: string[] = [];
    const probe: CommandRunner = {
      async run(argv, options) {
        const end = await localRunner.run(argv, options);
        if (end.end === 'exited') seen.push(end.output.stdout, end.output.stderr);
        return end;
      },
    };
    expect(problems(await look({ program: 'caddy', file: path }, probe))).toEqual([]);
    expect(seen.join('')).not.toContain('JDJhJDE0');
  });

  test('with a wrong line is told with it, and an empty file would drop every site', async () => {
    const wrong = file('wrong', 'a.example {\n\tbogus\n}\n');
    expect(problems(await look({ program: 'caddy', file: wrong }))).toEqual([
      `warning config-invalid: caddy would not start again with the configuration on its disk: Error: ${wrong}:2: unrecognized directive: bogus`,
    ]);
    expect(problems(await look({ program: 'caddy', file: file('empty', '') }))).toHaveLength(1);
    expect(problems(await look({ program: 'caddy', file: file('options', '{\n\tadmin off\n}\n') }))).toEqual([
      'warning config-invalid: caddy would not start again with the configuration on its disk: it holds no site: loading it would drop every one',
    ]);
  });
});

describeWith(['promtool', 'amtool'], 'Prometheus and Alertmanager', () => {
  test('are asked with the file that is named, and say what is wrong', async () => {
    const good = file('prometheus.yml', 'global: { scrape_interval: 15s }\n');
    expect(problems(await look({ program: 'prometheus', file: good }))).toEqual([]);
    const bad = file('bad.yml', 'global: { scrape_intervall: 15s }\n');
    expect(problems(await look({ program: 'prometheus', file: bad }))).toEqual([
      expect.stringContaining('field scrape_intervall not found'),
    ]);
    const routed = file('am.yml', 'route: { receiver: nobody }\nreceivers: [{ name: me }]\n');
    expect(problems(await look({ program: 'alertmanager', file: routed }))).toEqual([
      expect.stringContaining('undefined receiver'),
    ]);
  });
});

const canMount = process.getuid?.() === 0 ? ['nginx', 'unshare', 'mount'] : ['root'];

describeWith(canMount, 'nginx', () => {
  /** The machine as it would be with another /etc/nginx, for one command. */
  const elsewhere: CommandRunner = {
    run: (argv, options) =>
      localRunner.run(
        ['unshare', '-m', 'sh', '-c', 'mount --bind "$0" /etc/nginx && exec "$@"', folder, ...argv],
        options,
      ),
  };

  test('would load until a line is wrong, which is told with its place, and what changed is evidence', async () => {
    cpSync('/etc/nginx', folder, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    const options = check.options.parse({ program: 'nginx' });
    expect(problems(await look({ program: 'nginx' }, elsewhere))).toEqual([]);
    file('conf.d/lares.conf', 'server { listen 127.0.0.1:1; bogus on; }\n');
    const [found] = await look({ program: 'nginx' }, elsewhere);
    expect(found).toMatchObject({
      labels: { unit: 'nginx.service' },
      summary: expect.stringContaining('unknown directive "bogus" in /etc/nginx/conf.d/lares.conf:1'),
    });
    const evidence =
      found === undefined ? [] : await check.evidence.gather(options, checkContext({ probe: elsewhere }), found);
    expect(evidence.map(({ title }) => title)).toEqual(['What it says', 'Files that changed last']);
    expect(evidence[1]?.lines[0]).toContain('/etc/nginx/conf.d/lares.conf');
  });
});
