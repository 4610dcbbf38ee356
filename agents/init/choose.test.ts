import { describe, expect, test } from 'vitest';
import { parseTarget } from './host-look.ts';
import { answerOf } from './choose.ts';
import { distinct, proposal, standing } from './proposal.ts';

const host = (name: string) => proposal({ section: 'hosts', name, text: `host ${name}`, entry: {} });
const service = (name: string, on: string) =>
  proposal({ section: 'services', name, text: `service ${name}`, entry: { on } });
const check = (name: string, entry: object = {}) =>
  proposal({ section: 'checks', name, text: `check ${name}`, entry: { id: name, ...entry } });

describe('what a person answers', () => {
  const five = ['a', 'b', 'c', 'd', 'e'].map(host);
  const chosen = (text: string): string => {
    const answer = answerOf(text, five);
    return answer.is === 'again'
      ? answer.proposals.flatMap((one) => (one.isSelected ? [one.name] : [])).join('')
      : answer.is;
  };

  test.each([
    ['', 'write'],
    ['  ', 'write'],
    ['q', 'quit'],
    ['none', ''],
    ['2', 'acde'],
    ['2, 4-5', 'ac'],
    ['none 1 3', 'ac'],
    ['all', 'abcde'],
  ])('"%s"', (text, expected) => {
    expect(chosen(text)).toBe(expected);
  });

  test('and what there is not changes nothing and is told', () => {
    expect(answerOf('0 6 3-2 x 1', five)).toMatchObject({ unknown: ['0', '6', '3-2', 'x'] });
  });
});

describe('what is written', () => {
  test('stands without what was not chosen', () => {
    const left = { ...host('b'), isSelected: false };
    const { kept, dropped } = standing([
      host('a'),
      left,
      service('x', 'b'),
      check('y', { host: 'b' }),
      service('z', 'a'),
    ]);
    expect(kept.map(({ name }) => name)).toEqual(['a', 'z']);
    expect(dropped).toEqual(['service x: "b" is not chosen', 'check y: "b" is not chosen']);
  });

  test('has no name twice', () => {
    const { kept, dropped } = standing([host('a'), service('a', 'a'), check('c'), check('c')]);
    expect(kept).toHaveLength(2);
    expect(dropped).toHaveLength(2);
  });
});

test('two machines that call themselves alike get two names, one that was found twice gets one', () => {
  const at = (address: string) =>
    proposal({ section: 'hosts', name: 'debian', text: 'host debian', entry: { address } });
  const here = proposal({ section: 'hosts', name: 'debian', text: 'host debian', entry: { via: 'local' } });
  const all = distinct([here, at('10.0.0.1'), at('10.0.0.2'), at('10.0.0.2'), check('a'), check('a', { kind: 'tcp' })]);
  expect(all.map(({ text }) => text)).toEqual([
    'host debian',
    'host debian-2',
    'host debian-3',
    'check a',
    'check a-2',
  ]);
  expect(all.at(-1)?.entry).toMatchObject({ id: 'a-2' });
});

test('a host is named as ssh names it', () => {
  expect(parseTarget('me@nas')).toMatchObject({ user: 'me', address: 'nas', port: 22 });
  expect(parseTarget('me@10.0.0.5:2222')).toMatchObject({ address: '10.0.0.5', port: 2222 });
  expect(parseTarget('me@[fe80::1]:22')).toMatchObject({ address: 'fe80::1' });
  for (const wrong of ['nas', '@nas', 'me@', 'me@nas:0', 'me@nas:99999', 'me@na s', 'me@fe80::1']) {
    expect.soft(parseTarget(wrong)).toBeUndefined();
  }
});
