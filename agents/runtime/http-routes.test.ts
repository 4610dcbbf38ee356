import { expect, test } from 'vitest';
import { HttpRoutes } from './http-routes.ts';

function routes(): HttpRoutes<string> {
  const table = new HttpRoutes<string>();
  table.add(['GET', 'POST'], '/ping/:id', 'ping');
  table.add(['POST'], '/ping/:id/:signal', 'signal');
  return table;
}

test('parts with a name are decoded and handed over', () => {
  expect(routes().find('POST', '/ping/db%2Fa/7')).toEqual({
    is: 'found',
    handler: 'signal',
    parameters: { id: 'db/a', signal: '7' },
  });
});

test('a path that is longer, shorter, empty in a named part or wrongly encoded is unknown', () => {
  for (const path of ['/ping', '/ping/', '/ping/a/b/c', '/ping/%', '/ping/%E0%A4%A', '//ping/a', '', '*']) {
    expect(routes().find('GET', path)).toEqual({ is: 'unknown' });
  }
});

test('another method names those that are; HEAD and GET stand for each other', () => {
  expect(routes().find('DELETE', '/ping/a')).toEqual({ is: 'other-method', methods: ['GET', 'POST'] });
  expect(routes().find('HEAD', '/ping/a').is).toBe('found');
  expect(routes().find('GET', '/ping/a/start').is).toBe('other-method');
});

test('a name that every object has is a parameter as any other', () => {
  expect(routes().find('GET', '/ping/__proto__')).toMatchObject({ is: 'found', parameters: { id: '__proto__' } });
  expect(routes().find('constructor', '/ping/a').is).toBe('other-method');
});

test('a final star takes all that follows, and at least something', () => {
  const table = new HttpRoutes<string>();
  table.add(['GET'], '/in/:source/*', 'rest');
  expect(table.find('GET', '/in/a/api/v2/alerts')).toEqual({
    is: 'found',
    handler: 'rest',
    parameters: { source: 'a', '*': 'api/v2/alerts' },
  });
  for (const path of ['/in/a', '/in', '/in//x', '/in/a/%']) expect(table.find('GET', path)).toEqual({ is: 'unknown' });
});
