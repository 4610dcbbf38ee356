import { afterEach, describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { closeHttpAgents } from '#agents/sentinel/probes/http-agents.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type ApiRequest, startFakeApi } from '../../../test/parts/fake-api.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './uptime-kuma.ts';

kindContract(check, (port) => ({ url: `http://127.0.0.1:${port}` }));

process.env['LARES_TEST_KUMA'] = 'uk1_test-key';
const token = { env: 'LARES_TEST_KUMA' };
afterEach(closeHttpAgents);

const look = (given: object): Promise<Observation[]> => check.observe(check.options.parse(given), checkContext());

/** What 2.5 exports. */
const exported = `# HELP monitor_status Monitor Status (1 = UP, 0= DOWN, 2= PENDING, 3= MAINTENANCE)
# TYPE monitor_status gauge
monitor_status{monitor_id="1",monitor_name="Shop",monitor_type="http",monitor_url="https://shop.example",monitor_hostname="null",monitor_port="null"} 1
monitor_status{monitor_id="2",monitor_name="Say \\"hi\\", NAS",monitor_type="ping",monitor_url="https://",monitor_hostname="10.0.0.20",monitor_port="null"} 0
monitor_status{monitor_id="3",monitor_name="Wiki",monitor_type="http",monitor_url="https://wiki.example",monitor_hostname="null",monitor_port="null"} 2
monitor_status{monitor_id="4",monitor_name="Media",monitor_type="http",monitor_url="https://media.example",monitor_hostname="null",monitor_port="null"} 3
# TYPE monitor_response_time gauge
monitor_response_time{monitor_id="1",monitor_name="Shop"} 12
`;

function kuma(text = exported) {
  const expected = `Basic ${Buffer.from(':uk1_test-key').toString('base64')}`;
  return ({ path, headers }: ApiRequest) => {
    if (path === '/api/entry-page') return { body: { type: 'entryPage', entryPage: null } };
    if (path !== '/metrics') return undefined;
    return headers.authorization === expected ? { body: text } : { status: 401, body: 'Unauthorized' };
  };
}

describe('Uptime Kuma', () => {
  test('answers without a key', async () => {
    await using api = await startFakeApi(kuma());
    expect(words(await look({ url: api.url }))).toEqual(['uptime-kuma-down uptime-kuma ok']);
  });

  test('tells what it calls down; pending is not down, maintenance is asleep', async () => {
    await using api = await startFakeApi(kuma());
    const found = await look({ url: api.url, token });
    expect(words(found)).toEqual([
      'uptime-kuma-down uptime-kuma ok',
      'monitor-down monitors ok',
      'monitor-down Shop ok',
      'monitor-down Say "hi", NAS critical',
      'monitor-down Wiki ok',
      'monitor-down Media asleep',
    ]);
    const options = check.options.parse({ url: api.url, token });
    const [evidence] = await check.evidence.gather(options, checkContext(), found[3] as Observation);
    expect(evidence?.lines).toContain('monitor_hostname: 10.0.0.20');
    expect(words(await look({ url: api.url, token, ignore: ['Say "hi", NAS'] }))).toHaveLength(5);
  });

  test('tells certificates that end or are not valid, by the share of their life that is left', async () => {
    const page = (shop: number, inner: number): string => `${exported}
monitor_cert_days_remaining{monitor_id="1",monitor_name="Shop"} ${shop}
monitor_cert_is_valid{monitor_id="1",monitor_name="Shop"} 1
monitor_cert_days_remaining{monitor_id="3",monitor_name="Wiki"} ${inner}
monitor_cert_is_valid{monitor_id="3",monitor_name="Wiki"} 0
`;
    let now = page(89, 1);
    await using api = await startFakeApi((request) => kuma(now)(request));
    const context = checkContext();
    const certificates = async (): Promise<Observation[]> => {
      const found = await check.observe(check.options.parse({ url: api.url, token }), context);
      return found.filter(({ condition }) => condition.startsWith('certificate-'));
    };
    // Of hours only: whole days say nothing of it.
    expect(words(await certificates())).toEqual([
      'certificate-invalid Shop ok',
      'certificate-expiring Shop level',
      'certificate-invalid Wiki critical',
    ]);
    now = page(13, 0);
    expect((await certificates())[1]).toMatchObject({
      summary: 'the certificate of Shop ends in 13 days, says Uptime Kuma',
      reading: { value: 13, bad: 'below', warning: { trigger: 14 }, critical: { trigger: 3 } },
    });
    now = page(6, 1);
    await certificates();
    now = page(7, 1);
    expect((await certificates())[1]?.reading).toMatchObject({ value: 7, warning: { trigger: 7 / 3 } });
  });

  test('with a wrong key, or another page in its place, is unknown', async () => {
    await using api = await startFakeApi(kuma());
    expect(words(await look({ url: api.url, token: { env: 'HOME' } })).at(-1)).toBe('monitor-down monitors unknown');
    await using other = await startFakeApi(kuma('<html>login</html>'));
    expect(words(await look({ url: other.url, token })).at(-1)).toBe('monitor-down monitors unknown');
  });
});
