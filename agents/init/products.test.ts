import { expect, test } from 'vitest';
import { presetsFor } from './products.ts';

test('units are known by the name of a preset or by the unit that it watches, each once', () => {
  const units = ['cron.service', 'named.service', 'mosquitto.service', 'nginx.service', 'postfix@-.service'];
  expect(presetsFor(units)).toEqual(['bind9', 'mosquitto', 'nginx', 'postfix']);
  expect(presetsFor(['syncthing@ada.service', 'syncthing@bob.service'])).toEqual(['syncthing']);
  expect(presetsFor(['cron.service', '', '../x.service'])).toEqual([]);
});
