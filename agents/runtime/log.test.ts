import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { registerSecret } from '#bus/scrub.ts';
import { createLog, lastErrorOf } from './log.ts';

function open(level = 'debug') {
  const lines: string[] = [];
  const destination = new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) });
  return { lines, log: createLog({ level, name: 'test', destination }) };
}

test('each line is one JSON object with its name and fields', () => {
  const { log, lines } = open();
  log.child({ agent: 'triage' }).info({ incident: 'i1' }, 'opened\nin two lines');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    name: 'test',
    agent: 'triage',
    incident: 'i1',
    msg: 'opened\nin two lines',
  });
});

test('below the level nothing is written', () => {
  const { log, lines } = open('warn');
  log.info('x');
  log.warn('y');
  expect(lines).toHaveLength(1);
});

test('for journald each line begins with its priority', () => {
  const lines: string[] = [];
  const destination = new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) });
  const log = createLog({ level: 'debug', name: 'test', destination, toJournal: true });
  log.child({ agent: 'triage' }).debug('a');
  log.info('b');
  log.warn('c');
  log.error('d');
  log.fatal('e');
  expect(lines.map((line) => line.slice(0, 4))).toEqual(['<7>{', '<6>{', '<4>{', '<3>{', '<2>{']);
});

describe('no secret gets into a line', () => {
  test('as a member, in a message, in an error or in its stack', () => {
    registerSecret('hunter2-registered');
    const { log, lines } = open();
    log.info({ token: 'hunter2', provider: { apiKey: 'hunter2' } }, 'x');
    log.warn('curl said: Authorization: Bearer hunter2hunter2');
    log.error({ err: new Error('refused with hunter2-registered') }, 'y');
    log.error({ url: 'mqtt://lares:hunter2@broker' }, 'z');
    expect(lines).toHaveLength(4);
    expect(lines.join('')).not.toContain('hunter2');
    for (const line of lines) expect(() => JSON.parse(line) as unknown).not.toThrow();
  });
});

describe('the last error', () => {
  test('is remembered for the log and its children, without secrets', () => {
    const { log } = open();
    expect(lastErrorOf(log)).toBeUndefined();
    const child = log.child({ agent: 'sentinel' });
    child.warn('only a warning');
    expect(lastErrorOf(child)).toBeUndefined();
    child.error({ err: new Error('password=hunter2') }, 'a send failed');
    expect(lastErrorOf(log)).toBe('a send failed: password=[redacted]');
    log.fatal('the end');
    expect(lastErrorOf(child)).toBe('the end');
  });
});
