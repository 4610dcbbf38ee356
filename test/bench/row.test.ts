import { expect, test } from 'vitest';
import { judge, type Row, tableOf } from './row.ts';

const row: Row = { name: 'a', ours: 3, floor: 2, against: 'nothing', unit: 's' };

test('an aim is met when what it names is at most so much', () => {
  expect(judge({ ...row, aim: { of: 'ours', atMost: 3 } }).met).toBe(true);
  expect(judge({ ...row, aim: { of: 'ratio', atMost: 1.4 } }).met).toBe(false);
  expect(judge({ ...row, aim: { of: 'added', atMost: 1 } }).met).toBe(true);
  expect(judge(row)).toMatchObject({ ratio: 1.5, met: undefined });
});

test('the table has a line for each row and says in words what is not met', () => {
  const lines = tableOf([judge({ ...row, ours: 5.4321, aim: { of: 'ours', atMost: 1 } })]).split('\n');
  expect(lines).toHaveLength(2);
  expect(lines[1]).toMatch(/^a\s+5.43\s+2\s+s\s+2.72\s+ours <= 1\s+NO\s+nothing$/);
});
