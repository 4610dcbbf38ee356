import { expect, test } from 'vitest';
import { alertsIn, readDelivery } from '../../../test/parts/delivery.ts';
import { intake } from './gatus.ts';

const lines = (status: string): string =>
  `status: ${status}\nendpoint: front-end\ngroup: core\nurl: https://twin.sh/health\ndescription: health check failed\nerrors: Get "https://twin.sh/health": dial tcp: connection "refused"\n`;

test('an error with quotes in it is read from lines', () => {
  expect(alertsIn(intake, lines('TRIGGERED'))[0]).toMatchObject({
    status: 'firing',
    severity: 'critical',
    labels: { alertname: 'EndpointDown', endpoint: 'front-end', group: 'core' },
    more: { instance: 'https://twin.sh/health' },
    summary:
      'core/front-end is down: health check failed: Get "https://twin.sh/health": dial tcp: connection "refused"',
  });
  expect(alertsIn(intake, lines('RESOLVED'))[0]?.status).toBe('resolved');
});

test('JSON is read too', () => {
  const body = { status: 'TRIGGERED', endpoint: 'front-end', group: '', severity: 'warning' };
  expect(alertsIn(intake, body)[0]).toMatchObject({ severity: 'warning', labels: { endpoint: 'front-end' } });
});

test('a placeholder that was not replaced is refused', () => {
  expect(readDelivery(intake, lines('[ALERT_TRIGGERED_OR_RESOLVED]'))).toMatchObject({ is: 'refused', status: 400 });
  expect(readDelivery(intake, 'hello')).toMatchObject({ is: 'refused', status: 400 });
});
