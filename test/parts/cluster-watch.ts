import { expect } from 'vitest';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { check } from '#agents/sentinel/checks/proxmox.ts';
import { checkContext } from './check-context.ts';
import { type FakeProxmox, proxmoxToken } from './fake-proxmox.ts';
import { faultsOf } from './kind-contract.ts';

export const hourMs = 3_600_000;
export const token = { env: 'LARES_TEST_PVE_TOKEN' };
process.env['LARES_TEST_PVE_TOKEN'] = proxmoxToken;

/** Looks at a cluster again and again with the memory of the looks before. */
export function watchCluster(
  proxmox: Pick<FakeProxmox, 'url'>,
  more: object = {},
  replaced: Partial<CheckContext> = {},
) {
  const context = checkContext({ timeoutMs: 10_000, ...replaced });
  const options = check.options.parse({ url: proxmox.url, token, ...more });
  const look = async (): Promise<Observation[]> => {
    const found = await check.observe(options, context);
    expect(faultsOf(found)).toEqual([]);
    return found;
  };
  const evidence = (observation: Observation | undefined) =>
    observation === undefined ? Promise.resolve([]) : check.evidence.gather(options, context, observation);
  return { look, evidence };
}
