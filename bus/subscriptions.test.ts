import { expect, it } from 'vitest';
import { SubscriptionTable, topicMatches } from './subscriptions.ts';

it.each([
  ['a/b', 'a/b', true],
  ['a/+', 'a/b', true],
  ['a/+', 'a/', true],
  ['a/+', 'a', false],
  ['a/+', 'a/b/c', false],
  ['a/#', 'a', true],
  ['a/#', 'a/b/c', true],
  ['a/#', 'ab', false],
  ['#', 'a/b', true],
  ['#', '$SYS/a', false],
  ['+/a', '$SYS/a', false],
  ['$SYS/#', '$SYS/a', true],
  ['+/+', '/a', true],
  ['+', '/a', false],
  ['a/b', 'a/c', false],
])('%s and %s', (filter, topic, expected) => {
  expect(topicMatches(filter, topic)).toBe(expected);
});

it('what was remembered of a topic is forgotten when a subscription changes', () => {
  const table = new SubscriptionTable();
  table.add('a', { topic: 'x/+', qos: 1 });
  expect(table.matching('x/1').map(({ clientId }) => clientId)).toEqual(['a']);
  table.add('b', { topic: 'x/1', qos: 1 });
  expect(table.matching('x/1').map(({ clientId }) => clientId)).toEqual(['a', 'b']);
  table.remove('a', 'x/+');
  expect(table.matching('x/1').map(({ clientId }) => clientId)).toEqual(['b']);
  table.removeAll('b');
  expect(table.matching('x/1')).toEqual([]);
});
