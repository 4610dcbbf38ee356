import { expect, test } from 'vitest';
import { alertsIn, readDelivery } from '../../../test/parts/delivery.ts';
import { intake } from './wazuh.ts';

const alert = {
  timestamp: '2026-11-20T11:59:58.123+0000',
  rule: {
    level: 10,
    description: 'sshd: brute force trying to get access to the system.',
    id: '5712',
    mitre: { id: ['T1110'], tactic: ['Credential Access'] },
    firedtimes: 1,
    mail: false,
    groups: ['syslog', 'sshd', 'authentication_failures'],
  },
  agent: { id: '004', name: 'web', ip: '10.0.0.5' },
  manager: { name: 'wazuh' },
  id: '1795175998.1234',
  full_log: 'Nov 20 11:59:58 web sshd[1]: Failed password for invalid user admin from 203.0.113.9 port 4 ssh2',
  decoder: { name: 'sshd' },
  data: { srcip: '203.0.113.9', srcuser: 'admin' },
  location: '/var/log/auth.log',
};

test('one rule on one agent is one finding, with its log line', () => {
  expect(alertsIn(intake, alert)[0]).toMatchObject({
    severity: 'warning',
    labels: { alertname: 'wazuh-alert', rule_id: '5712', agent: 'web' },
    more: { instance: '10.0.0.5', srcip: '203.0.113.9' },
    details: [alert.full_log, '/var/log/auth.log', 'MITRE ATT&CK T1110'],
    saidAt: Date.parse('2026-11-20T11:59:58.123Z'),
  });
});

test('the level decides: counted, warning, critical', () => {
  const at = (level: number) => readDelivery(intake, { ...alert, rule: { ...alert.rule, level } });
  expect(at(6)).toMatchObject({ alerts: [], counted: 1 });
  expect(at(12)).toMatchObject({ alerts: [{ severity: 'critical' }] });
});

test('the form of the Shuffle integration is unwrapped', () => {
  expect(alertsIn(intake, { severity: 2, title: 'x', rule_id: '5712', all_fields: alert })[0]?.labels).toMatchObject({
    rule_id: '5712',
  });
});
