import { assert, property, string } from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { isLoginRefusal, parseMailQueue, sortOfReason } from '#agents/sentinel/probes/mail-queue.ts';
import { type Authority, createAuthority } from '../../../test/parts/certificates.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { faultsOf, kindContract } from '../../../test/parts/kind-contract.ts';
import { canRunPostfix, startPostfix } from '../../../test/parts/postfix.ts';
import { startTcpTarget } from '../../../test/parts/tcp-target.ts';
import { until } from '../../../test/parts/until.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './mail-queue.ts';

kindContract(check, () => ({}));

function valueOf(observations: readonly Observation[], condition: string): number | undefined {
  const reading = observations.find((one) => one.condition === condition)?.reading;
  return reading?.is === 'level' ? reading.value : undefined;
}

// As Postfix 3.7.11 prints it, one object a line.
const mail = (queue: string, arrival: number, reason: string): string =>
  `{"queue_name": "${queue}", "queue_id": "4ABCDEF0123", "arrival_time": ${arrival}, "message_size": 321, "forced_expire": false, "sender": "a@lab.test", "recipients": [{"address": "b@lab.test", "delay_reason": "${reason}"}]}`;

const refused = 'connect to 10.0.0.5[10.0.0.5]:25: Connection refused';

function printed(queue: string, now = 2_000_000): string {
  return `\n@@now\n${now}\n\n@@end now 0\n\n@@queue\n${queue}\n\n@@end queue 0\n`;
}

async function look(stdout: string): Promise<Observation[]> {
  const found = await check.observe(check.options.parse({}), checkContext({ probe: answering(stdout) }));
  expect(faultsOf(found)).toEqual([]);
  return found;
}

describe('what the script printed', () => {
  test('an empty queue is well and says so', async () => {
    const found = await look(printed('@status 0'));
    expect(problems(found)).toEqual([]);
    expect(found[0]?.summary).toBe('Postfix runs: its queue is empty');
    expect(valueOf(found, 'mail-queue-long')).toBe(0);
  });

  test('counts are those of the whole queue, reasons those of the mails that were shown', async () => {
    const lines = [
      mail('deferred', 1_990_000, refused),
      mail('hold', 1, 'x'),
      '@status 0',
      '@count deferred 150 1980000',
    ];
    const found = await look(printed([...lines, '@count hold 1 1'].join('\n')));
    expect(valueOf(found, 'mail-queue-long')).toBe(150);
    expect(valueOf(found, 'mail-queue-old')).toBe(20_000);
    expect(found.find(({ condition }) => condition === 'mail-queue-long')).toMatchObject({
      summary: '150 mails deferred, most for: connect to 10.0.0.5:25: Connection refused',
      reading: { warning: { trigger: 20 }, critical: { trigger: 100 } },
      labels: { queue: 'deferred' },
    });
    expect(found[0]?.summary).toBe('Postfix runs: 150 deferred, 1 hold');
  });

  test.each<[string, string]>([
    [
      'postqueue: fatal: Queue report unavailable - mail system is down\n@status 69',
      'critical mail-system-down: Postfix does not run: postqueue: fatal: Queue report unavailable - mail system is down',
    ],
    [
      'postqueue: warning: Mail system is down -- accessing queue directly\n@status 0',
      'critical mail-system-down: Postfix does not run; its queue was read',
    ],
    [
      'postqueue: fatal: User nobody(65534) is not allowed to view the mail queue\n@status 1',
      'unknown mail-system-down mail queue: "postqueue" ended with status 1: postqueue: fatal: User nobody(65534) is not allowed to view the mail queue',
    ],
    ['', 'unknown mail-system-down mail queue: the host did not run the script'],
  ])('%j', async (queue, words) => {
    expect(problems(await look(printed(queue)))).toEqual([words]);
  });

  test('a host without Postfix is unknown', async () => {
    expect(problems(await look('\n@@missing\n\n@@end missing 0\n'))).toEqual([
      'unknown mail-system-down mail queue: the host has no "postqueue": Postfix is not installed there',
    ]);
  });

  test('a mail whose sender looks like a queue name or a status is only a mail', () => {
    const sender = String.raw`{"queue_name": "deferred", "sender": "\"queue_name\": \"hold\"@status 9"}`;
    expect(parseMailQueue(`${sender}\n@status 0`)).toMatchObject({ status: 0, messages: [], reasons: [] });
  });

  test('any text is read without an error and stays bounded', () => {
    assert(
      property(string({ maxLength: 2_000 }), string({ maxLength: 300 }), (text, reason) => {
        const queue = parseMailQueue(`${text}\n${mail('deferred', 1, reason)}\n@status 0`);
        expect(queue?.messages.length ?? 0).toBeLessThanOrEqual(5);
        expect(sortOfReason(reason).length).toBeLessThanOrEqual(300);
      }),
    );
  });
});

describe('a reason', () => {
  test('is sorted without what differs from mail to mail', () => {
    expect(sortOfReason('host mx[192.0.2.1] said: 450 4.2.1 <bob@lab.test>: busy (in reply to RCPT) 4ABCDEF0123')).toBe(
      'host mx said: 450 4.2.1 <address>: busy (in reply to RCPT) N',
    );
  });

  test.each<[string, boolean]>([
    ['SASL authentication failed; server mail.smtp2go.com[1.2.3.4] said: 535 Incorrect authentication data', true],
    ['SASL authentication failed; cannot authenticate to server x: no mechanism available', true],
    ['host x said: 550 5.7.8 Authentication credentials invalid', true],
    [refused, false],
    ['host x said: 450 4.7.1 Greylisted', false],
  ])('%s: the login is refused %s', (reason, expected) => {
    expect(isLoginRefusal(reason)).toBe(expected);
  });
});

describeWith(canRunPostfix ? ['postfix', 'swaks', 'openssl'] : ['root'], 'a real Postfix', () => {
  let authority: Authority;
  beforeEach(() => {
    authority = createAuthority();
  });
  afterEach(() => authority[Symbol.dispose]());

  const lookAt = async (configFolder: string): Promise<Observation[]> => {
    const found = await check.observe(check.options.parse({ configFolder }), checkContext());
    expect(faultsOf(found)).toEqual([]);
    return found;
  };

  test('with mails that nobody takes: counted, aged, with their reason; stopped it is down', async () => {
    await using postfix = await startPostfix({ keys: authority.issue({ name: 'mail.lab.test' }) });
    expect(problems(await lookAt(postfix.configFolder))).toEqual([]);
    await Promise.all([postfix.send('a@lab.test'), postfix.send('b@lab.test')]);
    await until(async () => valueOf(await lookAt(postfix.configFolder), 'mail-queue-long') === 2, 'two deferred mails');
    const found = await lookAt(postfix.configFolder);
    expect(problems(found)).toEqual([]);
    expect(found[1]?.summary).toMatch(/^2 mails deferred, most for: connect to 127\.0\.0\.1:1: Connection refused$/);
    expect(valueOf(found, 'mail-queue-old')).toBeLessThan(60);
    await postfix.stop();
    expect(problems(await lookAt(postfix.configFolder))[0]).toMatch(/^critical mail-system-down: Postfix does not run/);
  });

  test('whose relay does not take the login says so', async () => {
    await using relay = await startTcpTarget((socket) => {
      socket.write('220 relay ESMTP\r\n');
      socket.on('data', (chunk) => {
        const said = chunk.toString();
        if (said.startsWith('EHLO')) socket.write('250-relay\r\n250 AUTH PLAIN LOGIN\r\n');
        else if (said.startsWith('QUIT')) socket.end('221 bye\r\n');
        else socket.write('535 5.7.8 Incorrect authentication data\r\n');
      });
    });
    const keys = authority.issue({ name: 'mail.lab.test' });
    await using postfix = await startPostfix({ keys, relayHost: `[127.0.0.1]:${relay.port}`, login: 'me:wrong' });
    await postfix.send('a@lab.test');
    await until(async () => valueOf(await lookAt(postfix.configFolder), 'mail-queue-long') === 1, 'a deferred mail');
    expect(problems(await lookAt(postfix.configFolder))).toEqual([
      expect.stringMatching(
        /^critical relay-login-refused: the relay refuses the login, 1 mail: SASL authentication failed/,
      ),
    ]);
  });
});
