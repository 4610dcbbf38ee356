import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseContainer } from './containers.ts';
import { deframe } from './docker-logs.ts';
import { parseJournal } from './journal.ts';
import { noteRestarts, type RestartHistory, restartsIn, restartWindowMs } from './restarts.ts';
import { judgeNamed, parseUnits } from './units.ts';

describe('units', () => {
  const show = `Type=notify
NRestarts=2
Result=success
ExecMainStatus=0
Id=nginx.service
Names=nginx.service
LoadState=loaded
ActiveState=active
SubState=running
ConditionResult=yes

Id=nope.service
LoadState=not-found
ActiveState=inactive
SubState=dead
Result=success

Id=backup.service
Type=oneshot
NRestarts=[not set]
LoadState=loaded
ActiveState=failed
SubState=failed
Result=exit-code
ExecMainStatus=3
TriggeredBy=backup.timer other.path
`;

  test('of systemctl show, in whatever order their properties come', () => {
    const [nginx, nope, backup] = parseUnits(show);
    expect(nginx).toMatchObject({ id: 'nginx.service', restarts: 2, active: 'active' });
    expect(nope && judgeNamed(nope)).toEqual({ is: 'absent', text: 'does not exist' });
    expect(backup).toMatchObject({ restarts: 0, exitStatus: 3, triggeredBy: ['backup.timer', 'other.path'] });
    expect(backup && judgeNamed(backup)).toMatchObject({ is: 'bad', text: 'is failed (exit-code, status 3)' });
  });

  test.each([
    ['Type=simple\nActiveState=inactive\nResult=success', 'bad'],
    ['Type=oneshot\nActiveState=inactive\nResult=success', 'ok'],
    ['Type=simple\nActiveState=inactive\nResult=success\nTriggeredBy=x.socket', 'ok'],
    ['Type=simple\nActiveState=inactive\nResult=success\nConditionResult=no', 'ok'],
    ['Type=oneshot\nActiveState=activating\nSubState=start', 'ok'],
    ['Type=simple\nActiveState=inactive\nResult=oom-kill', 'bad'],
  ])('%s is %s', (text, verdict) => {
    const [unit] = parseUnits(`Id=x.service\nLoadState=loaded\n${text}\n`);
    expect(unit && judgeNamed(unit).is).toBe(verdict);
  });

  test('a masked unit does not work', () => {
    const [unit] = parseUnits('Id=x.service\nLoadState=masked\nActiveState=inactive\n');
    expect(unit && judgeNamed(unit)).toMatchObject({ is: 'bad', text: 'is masked' });
  });
});

describe('the journal', () => {
  test('with bytes for text, no text, hostile text and broken lines', () => {
    const entry = (fields: object): string =>
      JSON.stringify({ __REALTIME_TIMESTAMP: '1795188107000000', SYSLOG_IDENTIFIER: 'app', _PID: '7', ...fields });
    const lines = [
      entry({ MESSAGE: 'plain' }),
      entry({ MESSAGE: [0xff, 0x6f, 0x6b] }),
      entry({ MESSAGE: null }),
      entry({ MESSAGE: `\u001b[31m<b>red</b>\nnext${'x'.repeat(10_000)}` }),
      '{"MESSAGE":"cut o',
      'no JSON',
    ];
    const parsed = parseJournal(lines.join('\n'));
    expect(parsed).toHaveLength(4);
    expect(parsed[0]).toBe('2026-11-20T15:21:47.000Z app[7]: plain');
    expect(parsed[1]).toContain('app[7]: \uFFFDok');
    expect(parsed[2]).toContain('(no text)');
    expect(parsed[3]?.length).toBeLessThan(500);
    expect(parsed[3]).toContain('[31m<b>red</b> nextxxx');
  });
});

describe('restarts', () => {
  test('are counted through a counter that a person set back', () => {
    let history: RestartHistory | undefined;
    for (const [counter, at] of [
      [5, 0],
      [6, 1],
      [8, 2],
      [0, 3],
      [1, 4],
    ] as const)
      history = noteRestarts(history, counter, at);
    expect(history && restartsIn(history)).toBe(4);
  });

  test('that are older than the window do not count, and a first look counts none', () => {
    const first = noteRestarts(undefined, 50, 0);
    expect(restartsIn(first)).toBe(0);
    const second = noteRestarts(first, 53, 1_000);
    expect(restartsIn(second)).toBe(3);
    expect(restartsIn(noteRestarts(second, 53, 1_000 + restartWindowMs))).toBe(0);
  });
});

describe('Docker', () => {
  test('logs are taken out of their frames, a cut one included', () => {
    const frame = (stream: number, text: string): Buffer => {
      const head = Buffer.alloc(8);
      head.writeUInt8(stream);
      head.writeUInt32BE(Buffer.byteLength(text), 4);
      return Buffer.concat([head, Buffer.from(text)]);
    };
    const framed = Buffer.concat([frame(1, 'out\n'), frame(2, 'err é\n'), frame(1, 'cut off')]);
    expect(deframe(framed)).toBe('out\nerr é\ncut off');
    expect(deframe(framed.subarray(0, -4))).toBe('out\nerr é\ncut');
    expect(deframe(Buffer.from('plain text of a terminal'))).toBe('plain text of a terminal');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => typeof deframe(Buffer.from(bytes)) === 'string'),
    );
  });

  test('containers with names that Docker would not give are not believed', () => {
    const container = (Name: string): unknown => ({ Id: 'a'.repeat(64), Name, State: { Status: 'running' } });
    expect(parseContainer(container('/web-1'))).toMatchObject({ name: 'web-1', policy: '', health: 'none' });
    expect(parseContainer(container('/-rf'))).toBeUndefined();
    expect(parseContainer(container('/a b'))).toBeUndefined();
    fc.assert(fc.property(fc.anything(), (value) => parseContainer(value) === undefined));
  });
});
