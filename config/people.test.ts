import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { openPeople } from './people.ts';
import { ConfigSchema } from './schema.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lares-people-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const config = (people: object = {}) => ConfigSchema.parse({ people });
const file = (): string => join(folder, 'people.json');

describe('roles', () => {
  test('are hierarchical: an approver also operates and reads', () => {
    const people = openPeople(config({ readers: [1], operators: [2], approvers: [3] }), folder);
    const has = (id: number): boolean[] =>
      (['reader', 'operator', 'approver'] as const).map((role) => people.may(`telegram:${id}`, role));
    expect(has(1)).toEqual([true, false, false]);
    expect(has(2)).toEqual([true, true, false]);
    expect(has(3)).toEqual([true, true, true]);
    expect(people.withRole('operator').toSorted()).toEqual(['telegram:2', 'telegram:3']);
  });

  test('of an empty list belong to nobody', () => {
    const people = openPeople(config(), folder);
    for (const id of ['telegram:1', 'telegram:', '', 'email:1', 'terminal:'])
      expect(people.may(id, 'reader')).toBe(false);
    expect(people.withRole('reader')).toEqual([]);
  });

  test('the higher of two places counts, in whatever order they stand', () => {
    const people = openPeople(config({ readers: [7], approvers: [7], operators: [7] }), folder);
    people.add({ id: 'telegram:7', name: 'Ann', role: 'reader' });
    expect(people.may('telegram:7', 'approver')).toBe(true);
  });
});

test('the terminal may approve exactly when the configuration says so', () => {
  expect(openPeople(config({ terminal: true }), folder).may('terminal:root', 'approver')).toBe(true);
  const without = openPeople(config({ terminal: false }), folder);
  expect(without.may('terminal:root', 'approver')).toBe(false);
  expect(without.may('terminal:root', 'operator')).toBe(true);
});

describe('somebody who pairs', () => {
  test('may at once, here and in another process, and after a restart', () => {
    const here = openPeople(config(), folder);
    const there = openPeople(config(), folder);
    expect(there.may('telegram:5', 'approver')).toBe(false);
    here.add({ id: 'telegram:5', name: 'Ann', role: 'approver' });
    expect(here.may('telegram:5', 'approver')).toBe(true);
    expect(there.may('telegram:5', 'approver')).toBe(true);
    expect(openPeople(config(), folder).may('telegram:5', 'approver')).toBe(true);
  });

  test('again with another role has that one; the others stay', () => {
    const people = openPeople(config(), folder);
    people.add({ id: 'telegram:5', name: 'Ann', role: 'approver' });
    people.add({ id: 'telegram:6', name: 'Bob', role: 'reader' });
    people.add({ id: 'telegram:5', name: 'Ann', role: 'reader' });
    expect(people.may('telegram:5', 'operator')).toBe(false);
    expect(people.withRole('reader').toSorted()).toEqual(['telegram:5', 'telegram:6']);
  });

  test('is written to a file that only its owner may read, with nothing left beside it', () => {
    openPeople(config(), folder).add({ id: 'telegram:5', name: 'Änn "<b>"', role: 'reader' });
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['people.json']);
    expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({
      people: [{ id: 'telegram:5', name: 'Änn "<b>"', role: 'reader' }],
    });
  });

  test('under a name that is no Telegram id is refused', () => {
    const people = openPeople(config(), folder);
    for (const id of ['terminal:root', 'telegram:x', 'telegram:0', 'telegram:-5', '5']) {
      expect(() => people.add({ id, name: 'x', role: 'approver' })).toThrow(Failure);
    }
    expect(existsSync(file())).toBe(false);
  });

  test('and was removed from the file may no more', () => {
    const people = openPeople(config(), folder);
    people.add({ id: 'telegram:5', name: 'Ann', role: 'approver' });
    rmSync(file());
    expect(people.may('telegram:5', 'reader')).toBe(false);
  });
});

describe('a damaged file drops nobody in silence and adds nobody', () => {
  test.each([
    ['that is cut off', '{"people":[{"id":"telegram:5"'],
    ['with an unknown role', '{"people":[{"id":"telegram:5","name":"x","role":"god"}]}'],
    ['with an unknown key', '{"people":[],"admins":["telegram:5"]}'],
    ['that is empty', ''],
  ])('one %s', (_, text) => {
    const people = openPeople(config({ readers: [1] }), folder);
    writeFileSync(file(), text, { mode: 0o600 });
    expect(() => people.may('telegram:1', 'reader')).toThrow(/^Cannot tell who may do what: /);
    expect(() => people.add({ id: 'telegram:6', name: 'x', role: 'reader' })).toThrow(Failure);
    expect(readFileSync(file(), 'utf8')).toBe(text);
    expect(() => openPeople(config(), folder)).toThrow(Failure);
  });

  test('one that others may write', () => {
    writeFileSync(file(), '{"people":[]}');
    chmodSync(file(), 0o666);
    expect(() => openPeople(config(), folder)).toThrow(/may be written by others; run chmod 600/);
  });
});
