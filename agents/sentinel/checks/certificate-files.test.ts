import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempDisposableSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { CommandRunner } from '#agents/runtime/command.ts';
import { localRunner } from '#agents/runtime/local-command.ts';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { parseCertificateFiles } from '#agents/sentinel/probes/certificate-files.ts';
import { observeRenewal } from '#agents/sentinel/probes/certificate-renewal.ts';
import { shakeHands } from '#agents/sentinel/probes/tls-handshake.ts';
import { splitSections } from '#agents/sentinel/probes/sections.ts';
import { createAuthority, hasOpenssl, type ServerKeys } from '../../../test/parts/certificates.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { describeWith, programPath, startDaemon } from '../../../test/parts/daemon.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { until } from '../../../test/parts/until.ts';
import { check } from './certificate-files.ts';

kindContract(check, () => ({ files: ['/etc/letsencrypt/live/*/fullchain.pem'], renewedBy: 'certbot' }));

const hour = 3_600_000;
const day = 24 * hour;

function look(more: object, replaced: Partial<CheckContext> = {}): Promise<Observation[]> {
  return check.observe(check.options.parse(more), checkContext(replaced));
}

/** As certbot lays it out: `live` holds links into `archive`. */
function certbotFiles(root: string, name: string, of: { keys: ServerKeys; number: number }): string {
  const archive = join(root, 'archive', name);
  const live = join(root, 'live', name);
  mkdirSync(archive, { recursive: true });
  mkdirSync(live, { recursive: true });
  for (const [file, text] of [
    ['fullchain', of.keys.cert],
    ['privkey', of.keys.key],
  ] as const) {
    writeFileSync(join(archive, `${file}${of.number}.pem`), text);
    rmSync(join(live, `${file}.pem`), { force: true });
    symlinkSync(`../../archive/${name}/${file}${of.number}.pem`, join(live, `${file}.pem`));
  }
  return join(live, 'fullchain.pem');
}

describe.skipIf(!hasOpenssl)('files (needs openssl)', () => {
  using authority = createAuthority();
  const fresh = authority.issue({
    name: 'a.example',
    notBefore: Date.now() - 10 * day,
    notAfter: Date.now() + 80 * day,
  });
  const late = authority.issue({ name: 'b.example', notBefore: Date.now() - 80 * day, notAfter: Date.now() + 2 * day });
  const short = authority.issue({ name: 'c.example', notBefore: Date.now() - hour, notAfter: Date.now() + 11 * hour });
  const made = mkdtempDisposableSync(join(tmpdir(), 'lares-certbot-'));
  afterAll(() => made.remove());
  const write = (path: string, text: string): string => {
    const whole = join(made.path, path);
    mkdirSync(dirname(whole), { recursive: true });
    writeFileSync(whole, text);
    return whole;
  };
  const paths = {
    fresh: certbotFiles(made.path, 'a.example', { keys: fresh, number: 2 }),
    late: certbotFiles(made.path, 'b.example', { keys: late, number: 1 }),
    caddy: write('certificates/local/c.example/c.example.crt', short.cert),
    // HAProxy wants the key in the same file.
    combined: write('haproxy/site.pem', `${fresh.key}${fresh.cert}`),
    text: write('broken/x.pem', '-----BEGIN CERTIFICATE-----\nfile 1 /etc/passwd\n-----END CERTIFICATE-----\n'),
  };

  test('each is judged by its own lifetime', async () => {
    const files = [`${made.path}/live/*/fullchain.pem`, `${made.path}/certificates/*/*/*.crt`];
    const found = await look({ files });
    const levels = Object.fromEntries(found.map(({ resource, reading, labels }) => [resource, { reading, labels }]));
    expect(Object.keys(levels).toSorted()).toEqual([paths.caddy, paths.fresh, paths.late].toSorted());
    expect(levels[paths.fresh]).toMatchObject({
      labels: { path: paths.fresh },
      reading: { is: 'level', value: expect.closeTo(80, 0), warning: { trigger: expect.closeTo(14, 3) } },
    });
    expect(levels[paths.late]?.reading).toMatchObject({ value: expect.closeTo(2, 1), critical: { trigger: 3 } });
    expect(levels[paths.caddy]?.reading).toMatchObject({ warning: { trigger: expect.closeTo(4 / 24, 3) } });
  });

  test('a key in the same file stays on the host', async () => {
    let output = '';
    const probe: CommandRunner = {
      run: async (argv, options) => {
        const end = await localRunner.run(argv, options);
        output = JSON.stringify(end);
        return end;
      },
    };
    expect(await look({ files: [paths.combined] }, { probe })).toMatchObject([{ reading: { is: 'level' } }]);
    expect(output).toContain('BEGIN CERTIFICATE');
    expect(output).not.toContain('PRIVATE KEY');
    expect(output).not.toContain(fresh.key.split('\n')[1]);
  });

  test('what is no certificate, is not there, or may not be seen is unknown, each with its reason', async () => {
    const hidden = write('hidden/live/a/fullchain.pem', fresh.cert);
    chmodSync(join(made.path, 'hidden/live'), 0o700);
    const nobody: CommandRunner = {
      run: (argv, options) =>
        userInfo().uid === 0
          ? localRunner.run([programPath('setpriv') ?? 'setpriv', '--reuid=65534', '--clear-groups', ...argv], options)
          : localRunner.run(argv, options),
    };
    chmodSync(made.path, 0o755);
    const found = await look(
      { files: [paths.text, `${made.path}/none/*.pem`, hidden.replace('/a/', '/*/')] },
      { probe: nobody },
    );
    const reasons = found.map(({ reading }) => (reading.is === 'unknown' ? reading.reason : reading.is));
    expect(reasons).toContain('it holds no certificate in PEM');
    expect(reasons).toContain('there is no such file');
    // Root sees everything, so the look is somebody else's; whoever is not root looks at files of their own.
    const seen = userInfo().uid === 0 ? /this user may not look into \/.*\/hidden\/live: give its group/ : /^level$/;
    expect(reasons.filter((reason) => seen.test(reason))).toHaveLength(1);
  });

  test('a pattern cannot leave its root or become a command', () => {
    const wrong = ['*', '/*', '/etc/../root/x', 'etc/x', '/etc/$(id)', '/etc/a b', '/etc/x;y', '-/etc/x'];
    expect(wrong.filter((file) => check.options.safeParse({ files: [file] }).success)).toEqual([]);
  });

  describeWith(['nginx'], 'nginx', () => {
    test('goes on showing the certificate before a renewal until it is reloaded', async () => {
      using work = mkdtempDisposableSync(join(tmpdir(), 'lares-nginx-'));
      using own = createAuthority();
      const issue = (notBefore: number) => own.issue({ name: 'a.example', notBefore, notAfter: notBefore + 90 * day });
      const live = certbotFiles(work.path, 'a.example', { keys: issue(Date.now() - 60 * day), number: 1 });
      const port = await freePort();
      writeFileSync(join(work.path, 'nginx.conf'), nginxConfiguration(work.path, live, port));
      const endpoint = { address: '127.0.0.1', port, tlsName: 'a.example', giveUpAfterMs: 1_000 };
      await using nginx = await startDaemon({
        program: 'nginx',
        args: ['-p', work.path, '-c', join(work.path, 'nginx.conf'), '-e', join(work.path, 'error.log')],
        isReady: async () => (await shakeHands(endpoint, checkContext())).is === 'shown',
      });
      const asked = { files: [`${work.path}/live/*/fullchain.pem`], servedPorts: [port] };
      const served = async (): Promise<Observation | undefined> =>
        (await look(asked)).find(({ condition }) => condition === 'certificate-not-reloaded');
      expect(await served()).toMatchObject({ reading: { is: 'state', ok: true } });

      certbotFiles(work.path, 'a.example', { keys: issue(Date.now() - 2 * hour), number: 2 });
      utimesSync(live, new Date(Date.now() - 2 * hour), new Date(Date.now() - 2 * hour));
      const stale = await served();
      expect(stale).toMatchObject({
        resource: `${live} at 127.0.0.1:${port}`,
        labels: { path: live, domain: 'a.example' },
        reading: { is: 'state', ok: false, severity: 'warning' },
        holdMs: 0,
      });
      expect(stale?.summary).toMatch(/renewed 2h ago, but the server still shows the one before, which ends 20/);

      nginx.signal('SIGHUP');
      await until(async () => {
        const now = await served();
        return now?.reading.is === 'state' && now.reading.ok;
      }, 'the reload of nginx');

      const elsewhere = own.issue({ name: 'z.example' });
      certbotFiles(work.path, 'z.example', { keys: elsewhere, number: 1 });
      const found = await look(asked);
      expect(found.find(({ labels }) => labels?.['domain'] === 'z.example')?.reading).toMatchObject({ is: 'asleep' });
    });
  });
});

function nginxConfiguration(folder: string, live: string, port: number): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ');
  return `daemon off; pid ${folder}/pid; error_log ${folder}/error.log; worker_processes 1; user root;
events {}
http { access_log off; ${paths}
  server { listen 127.0.0.1:${port} ssl; ssl_certificate ${live}; ssl_certificate_key ${live.replace('fullchain', 'privkey')}; }
}
`;
}

describe('renewal', () => {
  const units = (timer: string, service: string): string => `@@units
Id=certbot.timer
LoadState=${timer === 'not-found' ? 'not-found' : 'loaded'}
ActiveState=${timer === 'not-found' ? 'inactive' : timer}

Result=${service === 'failed' ? 'exit-code' : 'success'}
Id=certbot.service
ActiveState=${service}
LoadState=loaded
@@end units 0
`;
  const systemd = '@@systemd\n@@end systemd 0\n';
  const debian = `@@cron
0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && perl -e 'sleep int(rand(43200))' && certbot -q renew
@@end cron 0
`;
  const judged = (text: string): (string | boolean)[] =>
    observeRenewal('certbot', splitSections(text)).map(({ reading }) =>
      reading.is === 'state' ? reading.ok : reading.is,
    );

  test.each<[string, string, (string | boolean)[]]>([
    ['an active timer', units('active', 'inactive') + systemd, [true, true]],
    ['a timer whose service failed', units('active', 'failed') + systemd, [true, false]],
    ['a stopped timer', units('inactive', 'inactive') + systemd, [false, true]],
    ["Debian's cron entry where systemd runs", units('not-found', 'inactive') + systemd + debian, [false, true]],
    ["Debian's cron entry without systemd", debian, [true]],
    ['nothing', '', [false]],
  ])('%s', (_what, text, wanted) => {
    expect(judged(text)).toEqual(wanted);
  });

  test('acme.sh in a crontab that may not be read is unknown, in one that may it is there', () => {
    const none = '@@units\n\n@@end units 0\n';
    const of = (text: string) => observeRenewal('acme-sh', splitSections(none + text))[0]?.reading;
    expect(of(systemd)).toMatchObject({ is: 'unknown' });
    const line = `23 4 * * * "/root/.acme.sh"/acme.sh --cron --home "/root/.acme.sh" > /dev/null`;
    expect(of(`${systemd}@@spool\n${line}\n@@end spool 0\n`)).toMatchObject({ ok: true });
    expect(of(`${systemd}@@spool\n\n@@end spool 1\n`)).toMatchObject({ ok: false });
  });

  test('the labels name the timer that a playbook can start', () => {
    const [first] = observeRenewal('certbot', splitSections(units('inactive', 'inactive')));
    expect(first).toMatchObject({ condition: 'renewal-not-scheduled', labels: { unit: 'certbot.timer' } });
  });

  test('the real host is asked without a complaint', async () => {
    const found = await look({ files: ['/etc/nothing-here/*.pem'], renewedBy: 'certbot' });
    expect(found.map(({ condition }) => condition)).toContain('renewal-not-scheduled');
  });
});

test('any text that a host prints is read within bounds', () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom('file 1 /a', 'locked /b', 'hidden /c /c/*', 'none /d', 'more', '-----BEGIN CERTIFICATE-----'),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 30 }), (lines) => {
      const { files, unseen } = parseCertificateFiles(lines.join('\n'));
      const paths = [...files, ...unseen].map(({ path }) => path);
      expect(new Set(paths).size).toBe(paths.length);
    }),
  );
});

test('a host that cannot run the script is unknown', async () => {
  expect(await look({ files: ['/etc/x/*.pem'] }, { probe: answering('', { code: 127 }) })).toMatchObject([
    { reading: { is: 'unknown' } },
  ]);
});

describeWith(['certbot'], 'certbot', () => {
  test('its own installation has what the check looks for', () => {
    expect(execFileSync('certbot', ['--version'], { encoding: 'utf8' })).toMatch(/^certbot \d/);
    expect(execFileSync('dpkg', ['-L', 'certbot'], { encoding: 'utf8' })).toMatch(
      /\/etc\/cron\.d\/certbot[\s\S]*certbot\.timer/,
    );
  });
});
