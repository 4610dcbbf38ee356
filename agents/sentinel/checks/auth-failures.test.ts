import { assert, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CommandRunner } from '#agents/runtime/command.ts';
import { parseAuthLog } from '#agents/sentinel/probes/auth-log.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { namedProblems } from '../../../test/parts/problems.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { check } from './auth-failures.ts';

kindContract(check, () => ({}));

const now = 1_795_176_000;
let cursor = 0;

function entry(message: unknown, more: Record<string, string> = {}): string {
  cursor += 1;
  return JSON.stringify({
    __CURSOR: `s=abc;i=${cursor}`,
    __REALTIME_TIMESTAMP: `${(now - 10) * 1_000_000}`,
    SYSLOG_IDENTIFIER: 'sshd',
    _UID: '0',
    _PID: String(1_000 + cursor),
    MESSAGE: message,
    ...more,
  });
}

const failed = (address: string, user = 'admin') =>
  entry(`Failed password for invalid user ${user} from ${address} port 4000 ssh2`);
const accepted = (address: string, method = 'password', user = 'bob') =>
  entry(`Accepted ${method} for ${user} from ${address} port 4001 ssh2`);

function times(count: number, make: () => string): string[] {
  return Array.from({ length: count }, make);
}

function watcher(options: object = {}) {
  const base = checkContext();
  const parsed = check.options.parse(options);
  return (lines: string[], at = now) => {
    const text = sectionsText({ now: String(at), readable: 'yes', entries: lines.join('\n'), done: '' });
    return check.observe(parsed, { ...base, probe: answering(text) });
  };
}

describe('failures of one source', () => {
  test.each<[number, string[]]>([
    [0, []],
    [9, []],
    [10, ['warning login-failures 203.0.113.50: 10 failed logins from 203.0.113.50 within 5m']],
    [100, ['critical login-failures 203.0.113.50: 100 failed logins from 203.0.113.50 within 5m']],
  ])('%d within five minutes', async (count, problems) => {
    expect(namedProblems(await watcher()(times(count, () => failed('203.0.113.50'))))).toEqual(problems);
  });

  test('are summed over looks and forgotten after five minutes', async () => {
    const look = watcher();
    await look(times(6, () => failed('203.0.113.50')));
    const found = await look(
      times(6, () => failed('203.0.113.50')),
      now + 60,
    );
    expect(namedProblems(found)).toEqual([
      'warning login-failures 203.0.113.50: 12 failed logins from 203.0.113.50 within 5m',
    ]);
    expect(found.at(-1)).toMatchObject({
      labels: { source: '203.0.113.50', address: '203.0.113.50' },
      summary: '12 failed logins from 203.0.113.50 within 5m',
      holdMs: 0,
    });
    expect(namedProblems(await look([], now + 700))).toEqual([]);
  });

  test('of a thousand sources fit into the memory of a check', async () => {
    const context = checkContext();
    for (let minute = 0; minute < 30; minute++) {
      let host = 0;
      const at = { __REALTIME_TIMESTAMP: `${(now + minute * 60) * 1_000_000}` };
      const lines = times(1_000, () =>
        entry(`Failed password for x from ${'h'.repeat(80)}${(host += 1)} port 1 ssh2`, at),
      );
      const text = sectionsText({
        now: String(now + minute * 60),
        readable: 'yes',
        entries: lines.join('\n'),
        done: '',
      });
      await check.observe(check.options.parse({}), { ...context, probe: answering(text) });
    }
    expect(JSON.stringify(context.memory.get('auth')).length).toBeLessThan(60_000);
  });

  test('of many sources together are told too', async () => {
    let host = 0;
    const found = await watcher({ total: 50 })(times(60, () => failed(`198.51.100.${(host += 1)}`)));
    expect(namedProblems(found)).toEqual([
      'warning login-failures all sources: 60 failed logins of 60 sources within 5m',
    ]);
  });

  test('that are to be ignored are', async () => {
    expect(namedProblems(await watcher({ ignore: ['10.0.0.*'] })(times(50, () => failed('10.0.0.9'))))).toEqual([]);
  });
});

describe('a login', () => {
  test('by password after failures of the same address is critical, and told once', async () => {
    const look = watcher();
    await look(times(12, () => failed('203.0.113.50', 'bob')));
    const found = namedProblems(await look([accepted('203.0.113.50')], now + 30));
    expect(found).toContain(
      'critical login-after-failures 203.0.113.50 bob: bob logged in to sshd from 203.0.113.50 by password after 12 failures of that address',
    );
    expect(namedProblems(await look([], now + 4_000))).toEqual([]);
  });

  test('by key after failures is a warning, after none or from elsewhere nothing', async () => {
    const lines = [...times(12, () => failed('203.0.113.50')), accepted('203.0.113.50', 'publickey')];
    expect(
      namedProblems(await watcher()(lines)).filter((text) => text.startsWith('warning login-after-failures')),
    ).toHaveLength(1);
    expect(namedProblems(await watcher()([accepted('10.0.0.1')]))).toEqual([]);
  });

  test('of root by password is told', async () => {
    expect(namedProblems(await watcher()([accepted('10.0.0.1', 'password', 'root')]))).toEqual([
      'info root-login 10.0.0.1: root logged in to sshd from 10.0.0.1 by password',
    ]);
    expect(namedProblems(await watcher({ rootLogin: false })([accepted('10.0.0.1', 'password', 'root')]))).toEqual([]);
  });
});

describe('the log', () => {
  const read = (message: unknown, more: Record<string, string> = {}) => parseAuthLog(entry(message, more)).events[0];

  test.each<[string, string, object]>([
    ['sshd', 'Failed password for bob from 10.0.0.1 port 1 ssh2', { source: '10.0.0.1', user: 'bob' }],
    ['sshd', 'Failed password for invalid user  from 2001:db8::1 port 1 ssh2', { source: '2001:db8::1' }],
    [
      'sshd-session',
      'Accepted publickey for git from 10.0.0.1 port 1 ssh2: ED25519 SHA256:abc',
      { method: 'publickey' },
    ],
    ['sshd', 'Accepted keyboard-interactive/pam for bob from 10.0.0.1 port 1 ssh2', { method: 'password' }],
    ['sshd', 'Invalid user oracle from 10.0.0.1 port 1', { source: '10.0.0.1', user: 'oracle' }],
    [
      'sshd',
      'Connection closed by authenticating user root 10.0.0.1 port 1 [preauth]',
      { source: '10.0.0.1', user: 'root' },
    ],
    [
      'sudo',
      '   alice : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh',
      { source: 'sudo alice', count: 3 },
    ],
    ['su', 'FAILED SU (to root) alice on pts/0', { source: 'su alice', user: 'root' }],
    ['login', "FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure", { source: 'login /dev/tty1' }],
    [
      'pvedaemon',
      'authentication failure; rhost=::ffff:10.0.0.1 user=root@pam msg=Authentication failure',
      { source: '10.0.0.1' },
    ],
    ['dropbear', "Bad password attempt for 'root' from 10.0.0.1:4242", { source: '10.0.0.1', user: 'root' }],
  ])('of %s: %s', (service, message, event) => {
    expect(read(message, { SYSLOG_IDENTIFIER: service })).toMatchObject(event);
  });

  test('a user name that looks like an address does not blame another', () => {
    const message = 'Failed password for invalid user x from 8.8.8.8 port 22 ssh2 from 203.0.113.50 port 4000 ssh2';
    expect(read(message)?.source).toBe('203.0.113.50');
  });

  test('what an ordinary user logs as sshd is nothing', () => {
    expect(read('Accepted password for root from 8.8.8.8 port 22 ssh2', { _UID: '1000' })).toBeUndefined();
  });

  test('keys that do not fit are no guesses, and a connection counts its failures only once', () => {
    expect(read('Failed publickey for bob from 10.0.0.1 port 1 ssh2: RSA SHA256:x')).toBeUndefined();
    const lines = [
      entry('Invalid user x from 10.0.0.1 port 1', { _PID: '7' }),
      entry('Failed password for invalid user x from 10.0.0.1 port 1 ssh2', { _PID: '8' }),
      entry('Connection closed by invalid user x 10.0.0.1 port 1 [preauth]', { _PID: '8' }),
    ];
    expect(parseAuthLog(lines.join('\n')).events).toHaveLength(2);
  });

  test('bytes that are no UTF-8 are read', () => {
    const bytes = [...Buffer.from('Failed password for x'), 0xff, ...Buffer.from(' from 10.0.0.1 port 1 ssh2')];
    expect(read(bytes)?.source).toBe('10.0.0.1');
  });

  test('of another program, by an expression', () => {
    const pattern = String.raw`Username or password is incorrect\. Try again\. IP: (?<source>[0-9a-f.:]+)\. Username: (?<user>\S+)`;
    const message = '[ERROR] Username or password is incorrect. Try again. IP: 10.0.0.7. Username: me@example.org';
    const [event] = parseAuthLog(entry(message, { SYSLOG_IDENTIFIER: 'vaultwarden' }), [pattern]).events;
    expect(event).toMatchObject({ source: '10.0.0.7', user: 'me@example.org', service: 'vaultwarden' });
  });

  test('whatever strangers write is read without a throw', () => {
    assert(
      property(string({ unit: 'binary', maxLength: 300 }), (text) => {
        for (const { source, user } of parseAuthLog(entry(`Failed password for ${text} port 1 ssh2`)).events) {
          expect(source.length + user.length).toBeLessThanOrEqual(140);
        }
        expect(parseAuthLog(text).events).toEqual([]);
      }),
    );
  });
});

describe('one look', () => {
  test('reads on where the last one ended', async () => {
    const argvs: (readonly string[])[] = [];
    const last = entry('nothing of interest');
    const probe: CommandRunner = {
      run: (argv, command) => {
        argvs.push(argv);
        const text = sectionsText({ now: String(now), readable: 'yes', entries: last, done: '' });
        return answering(text).run(argv, command);
      },
    };
    const context = checkContext({ probe });
    for (let look = 0; look < 2; look++) await check.observe(check.options.parse({}), context);
    expect(argvs.map((argv) => argv.slice(4, 6))).toEqual([
      ['', '-300s'],
      [`s=abc;i=${cursor}`, `@${now}`],
    ]);
  });

  test.each<[Parameters<typeof sectionsText>[0], string]>([
    [{ readable: '', entries: '' }, 'the journal is not readable: add the read login to the group systemd-journal'],
    [
      { readable: 'yes', entries: { text: 'Failed to open', code: 1 } },
      'journalctl ended with status 1: Failed to open',
    ],
    [{ none: '' }, 'this host has no journal'],
  ])('that sees nothing is unknown: %j', async (parts, reason) => {
    const text = sectionsText({ now: String(now), ...parts, done: '' });
    const found = await check.observe(check.options.parse({}), checkContext({ probe: answering(text) }));
    expect(namedProblems(found)).toEqual([`unknown login-failures all sources: ${reason}`]);
  });
});

test('an expression that a hostile line sends astray hides no other line, and what was not looked at is told', async () => {
  const look = watcher({ identifiers: ['vaultwarden'], patterns: ['^(x+)+ from (?<source>[0-9.]+)$'] });
  const say = (message: string): string => entry(message, { SYSLOG_IDENTIFIER: 'vaultwarden' });
  const hostile = times(200, () => say('x'.repeat(60)));
  const found = await look([
    ...times(5, () => say('xx from 203.0.113.9')),
    ...hostile,
    ...times(10, () => failed('203.0.113.50')),
  ]);
  expect(namedProblems(found)).toEqual([
    'warning login-failures 203.0.113.50: 10 failed logins from 203.0.113.50 within 5m',
    'unknown login-failures patterns: the expressions of "patterns" take too long: 200 lines of the log were not looked at',
  ]);
  expect(found.find(({ resource }) => resource === '203.0.113.9')?.reading).toMatchObject({ value: 5 });
});
