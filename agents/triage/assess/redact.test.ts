import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createVeil } from './redact.ts';

const cloud = () =>
  createVeil({
    sees: 'cloud',
    hosts: ['pve1', 'web-2', 'web', 'nas.lan', '10.0.0.7'],
    users: ['carol', 'root'],
    nonce: 'k3f9',
  });

describe('for a cloud provider', () => {
  test.each([
    ['connect to 192.168.1.77 port 5432 failed', '192.168.1.77'],
    ['from fe80::1c2d:3eff:fe4f:5a6b%eth0 port 22', 'fe80::1c2d'],
    ['peer 2001:db8::42 gone', '2001:db8::42'],
    ['mail to alice.smith@corp.example.com bounced', 'alice.smith'],
    ['Accepted publickey for dave from 10.1.1.1', 'dave'],
    ['session opened for user erin(uid=1000)', 'erin'],
    ['cannot read /home/frank/data', 'frank'],
    ['carol logged in', 'carol'],
    ['upstream https://git.internal-thing.net/x', 'git.internal-thing'],
    ['lookup vault.corp.lan failed', 'vault.corp'],
    ['pve1 and web-2 are down', 'web-2'],
    ['link 52:54:00:ab:cd:ef up', '52:54:00'],
  ])('hides what identifies: %s', (text, secret) => {
    const veil = cloud();
    const hidden = veil.hide(text);
    expect(hidden).not.toContain(secret);
    expect(veil.reveal(hidden)).toBe(text);
  });

  test.each([
    'nginx.service failed on 127.0.0.1:80',
    'getty@tty1.service restarted',
    '12:34:56 root www-data ::1 localhost',
    'user root, version 1.24.0, java.lang.Exception in app.py',
  ])('keeps what a diagnosis needs: %s', (text) => {
    expect(cloud().hide(text)).toBe(text);
  });

  test('gives the same thing the same name, and different things different ones', () => {
    const hidden = cloud().hide('10.0.0.1 to 10.0.0.2, then 10.0.0.1');
    const [first, second, third] = hidden.match(/ip-k3f9-\d+x/g) ?? [];
    expect(first).toBe(third);
    expect(first).not.toBe(second);
  });

  test('puts back every text exactly', () => {
    const piece = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.emailAddress(),
      fc.constantFrom('pve1', 'web-2', 'carol', 'user ', 'https://', '/home/', '@', ':', '.lan', ' '),
      fc.string({ maxLength: 20 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join(' ');
        const local = createVeil({ sees: 'local', hosts: [], users: [], nonce: 'k3f9' });
        const veil = cloud();
        expect(veil.reveal(veil.hide(text))).toBe(local.hide(text));
      }),
    );
  });

  test('leaves no planted address or name', () => {
    const word = fc.constantFrom('connect', 'to', 'failed:', 'error', '(1)', 'at', '"', ',');
    const planted = fc.oneof(
      fc.ipV4().filter((ip) => !ip.startsWith('127.') && ip !== '0.0.0.0'),
      fc.constantFrom('pve1', 'web-2', 'nas.lan', 'carol', 'zoe@shop.example.com', 'db.corp.lan'),
    );
    fc.assert(
      fc.property(fc.array(word), planted, fc.array(word), (before, secret, after) => {
        expect(cloud().hide([...before, secret, ...after].join(' '))).not.toContain(secret);
      }),
    );
  });
});

test('for a local provider all but secrets stays', () => {
  const veil = createVeil({ sees: 'local', hosts: ['pve1'], users: [], nonce: 'k3f9' });
  expect(veil.hide('pve1 at 10.0.0.1: password=hunter2hunter2')).toBe('pve1 at 10.0.0.1: password=[redacted]');
});
