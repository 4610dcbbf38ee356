import { describe, expect, it } from 'vitest';
import type { Approval } from '#bus/messages/approval.ts';
import type { Plan } from '#bus/messages/plan.ts';
import { admit, admitRejection, type AdmissionFacts } from './admit.ts';

const now = Date.parse('2026-11-20T12:00:00.000Z');
const digest = 'd'.repeat(64);

const plan = {
  id: 'plan-1',
  status: 'pending',
  digest,
  proof: 'tap',
  expiresAt: '2026-11-20T13:00:00.000Z',
} as Plan;

const approval: Approval = {
  id: 'a1',
  plan: 'plan-1',
  digest,
  decision: 'approve',
  approver: 'telegram:42',
  name: 'Ann',
  proof: { kind: 'tap' },
  decidedAt: '2026-11-20T12:00:00.000Z',
  expiresAt: '2026-11-20T12:05:00.000Z',
  signature: { key: 'k', value: 'v' },
};

const facts: AdmissionFacts = {
  now,
  freeze: undefined,
  isSigned: true,
  plan,
  storedDigest: digest,
  rendered: { ok: true, digest },
  mayApprove: true,
  locks: [],
  recentRuns: 0,
  brake: { runs: 2, within: '30m' },
  restsUntil: 0,
  blocks: [],
};

/** What makes each guard refuse, in the order in which they are asked. */
const reasons: [string, Partial<AdmissionFacts>][] = [
  ['freeze', { freeze: { frozen: true, by: 'ann', reason: 'x', at: '2026-11-20T11:00:00.000Z' } }],
  ['signature', { isSigned: false }],
  ['plan', { plan: { ...plan, status: 'withdrawn', reason: 'over' } }],
  ['digest', { storedDigest: 'e'.repeat(64) }],
  ['rendered', { rendered: { ok: true, digest: 'e'.repeat(64) } }],
  ['approver', { mayApprove: false }],
  ['proof', { plan: { ...plan, proof: 'code' } }],
  ['expiry', { now: Date.parse('2026-11-20T12:05:00.000Z') }],
  ['lock', { locks: [{ host: 'web1', run: 'run-0' }] }],
  ['brake', { recentRuns: 2 }],
  ['cooldown', { restsUntil: now + 900_000 }],
  ['block', { blocks: [{ playbook: 'p', host: 'web1', reason: 'x' }] }],
];

describe('admission', () => {
  it('lets pass what no guard refuses', () => {
    expect(admit(approval, facts)).toEqual({ admitted: true });
  });

  it.each(reasons)('%s refuses alone', (rule, over) => {
    expect(admit(approval, { ...facts, ...over })).toMatchObject({ admitted: false, rule });
  });

  it('the guards are asked in a fixed order and the first that refuses is told', () => {
    const all = reasons.map(([rule, over]) => ({ rule, over }));
    for (const [index, { rule }] of all.entries()) {
      const worse = Object.assign(
        {},
        facts,
        ...all
          .slice(index)
          .toReversed()
          .map(({ over }) => over),
      ) as AdmissionFacts;
      expect(admit(approval, worse)).toMatchObject({ admitted: false, rule });
    }
  });

  it('a plan that is not known, and one whose time is up, are refused', () => {
    expect(admit(approval, { ...facts, plan: undefined })).toMatchObject({ rule: 'plan' });
    const late = { ...plan, expiresAt: '2026-11-20T11:00:00.000Z' };
    expect(admit(approval, { ...facts, plan: late })).toMatchObject({ rule: 'expiry' });
  });

  it('a rejection counts while frozen and after the playbook changed, but not from a stranger', () => {
    const rejection: Approval = { ...approval, decision: 'reject' };
    const frozen = { ...facts, ...reasons[0]?.[1], rendered: { ok: false as const, reason: 'x' } };
    expect(admitRejection(rejection, frozen)).toEqual({ admitted: true });
    expect(admitRejection(rejection, { ...facts, mayApprove: false })).toMatchObject({ rule: 'approver' });
    expect(admitRejection(rejection, { ...facts, isSigned: false })).toMatchObject({ rule: 'signature' });
  });
});
