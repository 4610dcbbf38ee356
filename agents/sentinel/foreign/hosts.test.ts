import { expect, test } from 'vitest';
import { ConfigSchema } from '#config/schema.ts';
import { createHostFinder } from './hosts.ts';

const { hosts } = ConfigSchema.parse({
  hosts: {
    web: { address: '10.0.0.5' },
    NAS: { address: 'nas.example.org' },
    'db.lan': {},
    v6: { address: '2001:db8::5' },
    one: { address: '10.0.0.9' },
    two: { address: '10.0.0.9' },
  },
});
const find = createHostFinder(hosts);

test('a host is found by name, by address, with a port, in a URL and by the first part of its name', () => {
  const places = {
    web: ['web', 'WEB', '10.0.0.5', '10.0.0.5:9100', 'http://10.0.0.5:8080/x', 'web.example.net', 'web:9100'],
    NAS: ['nas', 'nas.example.org:443', 'https://nas.example.org/status', 'nas.other.org'],
    'db.lan': ['db.lan', 'db', 'db.lan:5432'],
    v6: ['2001:db8::5', '[2001:db8::5]:9100'],
  };
  for (const [name, given] of Object.entries(places)) {
    for (const instance of given) expect([instance, find({ instance })]).toEqual([instance, name]);
  }
});

test('who shares an address with another, and who is nobody, is not found', () => {
  for (const instance of ['10.0.0.9', '10.0.0.99', 'localhost:9100', '', '://', 'x'.repeat(5_000)]) {
    expect([instance.slice(0, 20), find({ instance })]).toEqual([instance.slice(0, 20), undefined]);
  }
  expect(find({})).toBeUndefined();
});

test('the most telling label goes first, and one that names nobody is passed over', () => {
  expect(find({ host: 'nas', instance: '10.0.0.5:9100' })).toBe('NAS');
  expect(find({ host: 'unknown', instance: '10.0.0.5:9100' })).toBe('web');
});
