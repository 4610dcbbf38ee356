import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { databaseProtocols } from '#agents/sentinel/probes/database-greeting.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { describeWith, startDaemon } from '../../../test/parts/daemon.ts';
import { freePort } from '../../../test/parts/free-port.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { startTcpTarget } from '../../../test/parts/tcp-target.ts';
import { until } from '../../../test/parts/until.ts';
import { check } from './database.ts';

kindContract(check, (port) => ({ product: 'postgres', address: '127.0.0.1', port }));

async function look(product: string, port: number): Promise<string[]> {
  const options = check.options.parse({ product, address: '127.0.0.1', port });
  return problems(await check.observe(options, checkContext()));
}

/** A server that says this to whoever connects or asks. */
async function saying(product: string, bytes: Buffer): Promise<string[]> {
  await using target = await startTcpTarget((socket) => void socket.write(bytes));
  return await look(product, target.port);
}

/** PostgreSQL, "ErrorResponse". */
function postgresError(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeUInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

/** A packet of MySQL: length, number 0, body. */
function mysqlPacket(body: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUIntLE(body.length, 0, 3);
  return Buffer.concat([head, body]);
}

describe('PostgreSQL', () => {
  test('that starts or recovers takes no connections, though its port is open', async () => {
    expect(await saying('postgres', postgresError('57P03', 'the database system is starting up'))).toEqual([
      expect.stringMatching(
        /^critical database-down: .* takes no connections yet: the database system is starting up$/,
      ),
    ]);
  });

  test('without room is told as such; one that does not know us is well', async () => {
    expect(await saying('postgres', postgresError('53300', 'sorry, too many clients already'))).toEqual([
      expect.stringContaining('has no room for another connection: sorry, too many clients already'),
    ]);
    expect(await saying('postgres', postgresError('28000', 'no pg_hba.conf entry for host "::1"'))).toEqual([]);
  });
});

describe('MariaDB', () => {
  test('that is full or does not let us in says so instead of a greeting', async () => {
    const full = mysqlPacket(Buffer.concat([Buffer.from('ff1004', 'hex'), Buffer.from('Too many connections')]));
    expect(await saying('mysql', full)).toEqual([expect.stringContaining('Too many connections')]);
    const stranger = mysqlPacket(
      Buffer.concat([Buffer.from('ff6a04', 'hex'), Buffer.from("Host '10.0.0.7' is not allowed to connect")]),
    );
    expect(await saying('mysql', stranger)).toEqual([expect.stringMatching(/^unknown .*does not let this machine in/)]);
  });
});

describe('Redis', () => {
  test.each([
    ['+PONG\r\n', []],
    ['-NOAUTH Authentication required.\r\n', []],
    ['-LOADING Redis is loading the dataset in memory\r\n', [expect.stringContaining('takes no connections yet')]],
    ['-ERR max number of clients reached\r\n', [expect.stringContaining('no room for another connection')]],
    ['-MISCONF Redis is configured to save RDB snapshots\r\n', [expect.stringContaining('is not well: MISCONF')]],
    ['-DENIED Redis is running in protected mode\r\n', [expect.stringMatching(/^unknown .*this machine/)]],
    ['HTTP/1.1 400 Bad Request\r\n', [expect.stringMatching(/^unknown .*does not speak as Redis/)]],
  ])('that says %j', async (said, expected) => {
    expect(await saying('redis', Buffer.from(said))).toEqual(expected);
  });
});

test('any bytes are read within bounds', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const protocol of Object.values(databaseProtocols)) {
        const greeting = protocol.read(Buffer.from(bytes), 1);
        const text = greeting === undefined || Buffer.isBuffer(greeting) ? '' : greeting.text;
        expect(text.length).toBeLessThanOrEqual(300);
      }
    }),
  );
});

describeWith(['redis-server'], 'a real Redis', () => {
  test('takes connections, with a password too, and is down when it is stopped', async () => {
    const port = await freePort();
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--requirepass', 'secret'];
    await using redis = await startDaemon({
      program: 'redis-server',
      args,
      isReady: async () => (await look('redis', port)).length === 0,
    });
    expect(await look('redis', port)).toEqual([]);
    await redis.kill();
    expect(await look('redis', port)).toEqual([expect.stringContaining('does not answer: connection refused')]);
  });
});

const postgresFolder = '/usr/lib/postgresql/15/bin';
const canRun = process.getuid?.() === 0 && existsSync(postgresFolder) ? ['runuser'] : ['postgresql'];

describeWith(canRun, 'a real PostgreSQL', () => {
  test('takes connections without knowing us, and is down when it is stopped', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lares-postgres-'));
    try {
      chmodSync(folder, 0o777);
      const data = join(folder, 'data');
      const as = ['-u', 'postgres', '--'];
      const setUp = [...as, join(postgresFolder, 'initdb'), '-D', data, '-A', 'scram-sha-256', '-N'];
      execFileSync('runuser', [...setUp, '-U', 'owner', '--pwfile=/proc/version'], { stdio: 'pipe', cwd: folder });
      const port = await freePort();
      const settings = [
        '-c',
        `port=${port}`,
        '-c',
        'listen_addresses=127.0.0.1',
        '-c',
        `unix_socket_directories=${folder}`,
      ];
      await using server = await startDaemon({
        program: 'runuser',
        args: [...as, join(postgresFolder, 'postgres'), '-D', data, ...settings, '-c', 'fsync=off'],
        cwd: folder,
        isReady: async () => (await look('postgres', port)).length === 0,
      });
      expect(await look('postgres', port)).toEqual([]);
      // Killed the hard way it would leave its shared memory behind.
      server.signal('SIGTERM');
      await until(async () => (await look('postgres', port))[0]?.includes('does not answer') === true, 'the silence');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

const canRunMaria = process.getuid?.() === 0 ? ['mariadbd', 'mariadb-install-db', 'mariadb'] : ['root'];

describeWith(canRunMaria, 'a real MariaDB', () => {
  test('is well look after look: no handshake is broken off, which would lock this machine out', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lares-mariadb-'));
    const socket = join(folder, 's');
    const admin = (statement: string): string =>
      execFileSync('mariadb', ['--no-defaults', '-S', socket, '-u', 'root', '-BN', '-e', statement]).toString().trim();
    try {
      const setUp = [
        '--no-defaults',
        `--datadir=${folder}/data`,
        '--user=root',
        '--auth-root-authentication-method=normal',
      ];
      execFileSync('mariadb-install-db', [...setUp, '--skip-test-db'], { stdio: 'pipe' });
      const port = await freePort();
      const settings = [`--port=${port}`, '--bind-address=127.0.0.1', `--socket=${socket}`, '--max-connect-errors=3'];
      const names = ['--skip-log-bin', `--pid-file=${folder}/pid`];
      await using _server = await startDaemon({
        program: 'mariadbd',
        args: ['--no-defaults', `--datadir=${folder}/data`, '--user=root', ...settings, ...names],
        isReady: async () => (await look('mysql', port)).length === 0,
      });
      const refused = (): number => Number(admin("SHOW GLOBAL STATUS LIKE 'Access_denied_errors'").split('\t')[1]);
      const before = refused();
      expect(await look('mysql', port)).toEqual([]);
      // Only a handshake that came to its end is refused; one that broke off counts as an error of the host.
      expect(refused()).toBe(before + 1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
