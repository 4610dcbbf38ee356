import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assert, json, oneof, property, string } from 'fast-check';
import { parseBouncers, parseHub, parseMachines } from '#agents/sentinel/probes/cscli.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { type Crowdsec, crowdsecPrograms, startCrowdsec } from '../../../test/parts/crowdsec.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { namedProblems } from '../../../test/parts/problems.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { until } from '../../../test/parts/until.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './crowdsec-host.ts';

kindContract(check, () => ({}));

const now = 1_795_211_200;
const ago = (seconds: number): string => new Date((now - seconds) * 1_000).toISOString();

// As 1.4.6 prints it, keys of no interest left out.
const machines = (more: object = {}): string =>
  JSON.stringify([
    { id: 1, machineId: 'web', last_heartbeat: ago(40), isValidated: true, auth_type: 'password', ...more },
  ]);
const bouncers = (more: object = {}): string =>
  JSON.stringify([
    { name: 'firewall', api_key: '3dd2e5b2', revoked: false, until: ago(9_000), last_pull: ago(8), ...more },
  ]);

const hub = (status = 'enabled'): string =>
  JSON.stringify({
    collections: [{ name: 'crowdsecurity/sshd', local_version: '0.2', status: 'enabled,tainted' }],
    scenarios: [{ name: 'crowdsecurity/ssh-bf', local_version: '0.1', status }],
    postoverflows: null,
  });

function look(parts: object, options: object = {}) {
  const text = sectionsText({
    now: String(now),
    machines: machines(),
    bouncers: bouncers(),
    hub: hub(),
    ...parts,
    done: '',
  });
  return check.observe(check.options.parse(options), checkContext({ probe: answering(text) }));
}

describe('engines and bouncers', () => {
  test('that were heard of are well, and no key leaves the look', async () => {
    const found = await look({});
    expect(words(found)).toEqual([
      'machine-not-validated web ok',
      'machine-silent web ok',
      'bouncer-silent firewall ok',
      'crowdsec-unguarded crowdsec ok',
      'crowdsec-no-scenarios hub ok',
      'crowdsec-hub-outdated hub ok',
    ]);
    expect(JSON.stringify(found)).not.toContain('3dd2e5b2');
  });

  test('without a scenario notice nothing, and old ones are information', async () => {
    expect(namedProblems(await look({ hub: hub('disabled') }))).toEqual([
      'critical crowdsec-no-scenarios hub: 0 scenarios of CrowdSec are on: it notices no attack',
    ]);
    expect(namedProblems(await look({ hub: hub('enabled,update-available') }))).toEqual([
      'info crowdsec-hub-outdated hub: of the hub of CrowdSec 1 item can be updated: crowdsecurity/ssh-bf',
    ]);
    expect(namedProblems(await look({ hub: '[]' }))).toEqual([
      'unknown crowdsec-no-scenarios hub: what cscli says about the hub of CrowdSec cannot be read',
    ]);
  });

  test('that are silent are told', async () => {
    const parts = { machines: machines({ last_heartbeat: ago(400) }), bouncers: bouncers({ last_pull: ago(200) }) };
    expect(namedProblems(await look(parts))).toEqual([
      'warning machine-silent web: the engine web was heard of 6m40s ago',
      'critical bouncer-silent firewall: the bouncer firewall was heard of 3m20s ago: what CrowdSec decides is not enforced there',
    ]);
    expect(namedProblems(await look(parts, { ignoreMachines: ['we*'], bouncerSilentAfter: '5m' }))).toEqual([]);
  });

  test('a machine that waits to be validated, and one that never reported', async () => {
    expect(namedProblems(await look({ machines: machines({ isValidated: false, last_heartbeat: null }) }))).toEqual([
      'warning machine-not-validated web: web asks to be validated: nothing that it sends counts until then',
    ]);
    expect(namedProblems(await look({ machines: machines({ last_heartbeat: null }) }))).toEqual([
      'warning machine-silent web: the engine web was never heard of',
    ]);
  });

  test('a bouncer that asks address by address or is revoked is not silent; none at all is information', async () => {
    expect(namedProblems(await look({ bouncers: bouncers({ last_pull: ago(9_000) }) }))).toEqual([]);
    expect(namedProblems(await look({ bouncers: bouncers({ last_pull: null }) }))).toEqual([]);
    expect(namedProblems(await look({ bouncers: bouncers({ revoked: true, last_pull: ago(900) }) }))).toEqual([]);
    expect(namedProblems(await look({ bouncers: 'null' }))).toEqual([
      'info crowdsec-unguarded crowdsec: CrowdSec knows 1 engine and 0 bouncers: nobody enforces what it decides',
    ]);
  });

  test('without root are unknown, with what to do; and so is a host without the tool', async () => {
    const text =
      '{"level":"fatal","msg":"unable to create new database client: unable to set perms on /var/lib/crowdsec/data/crowdsec.db: chmod /var/lib/crowdsec/data/crowdsec.db: operation not permitted"}';
    const refused = { text, code: 1 };
    expect(namedProblems(await look({ machines: refused, bouncers: refused }))).toEqual([
      'unknown machine-silent engines: only root may read the engines of CrowdSec: set "sudo: true" and allow the read login the commands that the kind names for it in agents/sentinel/checks/README.md',
      'unknown bouncer-silent bouncers: only root may read the bouncers of CrowdSec: set "sudo: true" and allow the read login the commands that the kind names for it in agents/sentinel/checks/README.md',
    ]);
    expect(namedProblems(await look({ none: '' }))).toEqual([
      'unknown machine-silent engines: there is no /usr/bin/cscli on this host',
    ]);
  });

  test('are read from any text without an error', () => {
    assert(
      property(oneof(string(), json()), (text) => {
        expect(
          [parseMachines(text), parseBouncers(text), parseHub(text)].every(
            (found) => found === undefined || typeof found === 'object',
          ),
        ).toBe(true);
      }),
    );
  });
});

describeWith(crowdsecPrograms, "Debian's cscli", () => {
  let real: Crowdsec;
  beforeAll(async () => {
    real = await startCrowdsec();
  }, 30_000);
  afterAll(() => real[Symbol.asyncDispose]());

  test('tells of an engine that reports, a machine that never did, and a bouncer once it has pulled', async () => {
    const options = check.options.parse({ config: real.config, ignoreMachines: ['lares'] });
    const fresh = await check.observe(options, checkContext());
    expect(namedProblems(fresh)).toEqual([]);
    expect(fresh.find(({ condition }) => condition === 'crowdsec-no-scenarios')?.summary).toBe(
      '1 scenario of CrowdSec is on',
    );
    expect(fresh.find(({ resource }) => resource === 'lares')?.summary).toContain('has never pulled the list');
    const headers = { 'x-api-key': real.bouncerKey, 'user-agent': 'test/1' };
    await (await fetch(`${real.url}/v1/decisions/stream?startup=true`, { headers })).arrayBuffer();
    // It notes the pull after it has answered.
    await until(async () => {
      const found = await check.observe(options, checkContext());
      const bouncer = found.find(({ resource }) => resource === 'lares')?.summary ?? '';
      return (
        /^the bouncer lares was heard of \d+s ago$/.test(bouncer) && words(found).includes('machine-silent engine ok')
      );
    }, 'the pull and the heartbeat of the engine');
  }, 20_000);
});
