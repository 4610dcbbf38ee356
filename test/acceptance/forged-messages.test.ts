import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import mqtt, { type MqttClient } from 'mqtt';
import { describe, expect, test } from 'vitest';
import { systemClock } from '#agents/runtime/clock.ts';
import { digestOf } from '#bus/canonical.ts';
import { loadSigner, type Signer } from '#bus/keys.ts';
import type { AgentName } from '#bus/message.ts';
import type { Approval } from '#bus/messages/approval.ts';
import type { Plan } from '#bus/messages/plan.ts';
import type { Rejected } from '#bus/messages/rejected.ts';
import type { Run } from '#bus/messages/run.ts';
import { signApproval } from '#bus/sign.ts';
import type { ChatMessage } from '../parts/telegram.ts';
import { hasSshd } from '../parts/sshd.ts';
import { House } from './house.ts';
import { Shop } from './shop.ts';

const prefix = 'lares/home';

/** Somebody who has the password of one agent and none of our code. */
class Intruder implements AsyncDisposable {
  readonly #client: MqttClient;
  readonly heard: { topic: string; payload: Record<string, unknown> }[] = [];

  private constructor(client: MqttClient) {
    this.#client = client;
    client.on('message', (topic, bytes) => {
      const payload = objectIn(bytes.toString());
      if (payload !== undefined) this.heard.push({ topic, payload });
    });
  }

  static async as(agent: AgentName, house: House): Promise<Intruder> {
    const password = readFileSync(join(house.folder, `state/keys/bus-${agent}.secret`), 'utf8').trim();
    const clientId = `lares-home-${agent}-raw`;
    const options = { username: agent, password, clientId, reconnectPeriod: 0 };
    const client = await mqtt.connectAsync(house.crew.access.url, options);
    const intruder = new Intruder(client);
    await client.subscribeAsync(`${prefix}/#`, { qos: 1 });
    return intruder;
  }

  async say(topic: string, payload: unknown): Promise<void> {
    const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
    await this.#client.publishAsync(`${prefix}/${topic}`, body, { qos: 1 });
  }

  /** What was said on topics of that kind. */
  all<T>(kind: string): T[] {
    return this.heard.filter(({ topic }) => topic.startsWith(`${prefix}/${kind}`)).map(({ payload }) => payload as T);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.endAsync(true);
  }
}

/** Undefined for what is no JSON: others say such things here. */
function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** A shop that is down, its card and its plan, and intruders with the password of each agent. */
async function siege() {
  const ending = new AsyncDisposableStack();
  const shop = ending.use(await Shop.open());
  const house = ending.use(
    await House.open({ clock: systemClock, config: { hosts: { web: shop.host }, checks: [shop.check] } }),
  );
  const as = async (agent: AgentName): Promise<Intruder> => ending.use(await Intruder.as(agent, house));
  const [sentinel, triage, remediation, person] = [
    await as('sentinel'),
    await as('triage'),
    await as('remediation'),
    await as('console'),
  ];
  shop.break();
  const card = await house.message(/does not answer/);
  await house.until(() => canApprove(card), 'the plan');
  const [plan] = person.all<Plan>('plan/');
  if (plan?.digest === undefined) throw new Error('There is no plan on the bus');
  const dispose = (): Promise<void> => ending.disposeAsync();
  return { shop, house, sentinel, triage, remediation, person, card, plan, [Symbol.asyncDispose]: dispose };
}

type Siege = Awaited<ReturnType<typeof siege>>;

describe.skipIf(!hasSshd)('with the password of an agent', { concurrent: true }, () => {
  test('what cannot be read, or may not be said, is told as rejected, and everybody lives on', async () => {
    await using at = await siege();
    const { house, sentinel, remediation, person } = at;
    const finding = person.all<Record<string, unknown>>('finding/')[0] ?? {};
    const other = { ...finding, fingerprint: '0'.repeat(16) };
    await sentinel.say('finding/garbage', 'not json {');
    await sentinel.say('finding/empty', {});
    await sentinel.say('finding/future', { ...other, schema: 'lares.finding/9' });
    await sentinel.say('finding/somebody', other);
    await sentinel.say(`finding/${'1'.repeat(16)}`, { ...other, fingerprint: '1'.repeat(16), severity: 'apocalyptic' });
    await sentinel.say('finding/huge', { ...other, summary: 'x'.repeat(300_000) });
    await sentinel.say(`plan/${at.plan.id}`, { ...at.plan, status: 'approved' });
    await sentinel.say(`approval/${at.plan.id}`, {});
    await remediation.say(`finding/${'2'.repeat(16)}`, { ...other, fingerprint: '2'.repeat(16) });
    await remediation.say('freeze/never/such/a/topic', {});
    await person.say('finding/person', other);
    const wanted = [
      ['finding/garbage', 'not JSON'],
      ['finding/empty', 'schema is not "lares.finding/1"'],
      ['finding/future', 'schema is not "lares.finding/1"'],
      ['finding/somebody', 'not about the identity in the topic'],
      [`finding/${'1'.repeat(16)}`, 'severity'],
      ['finding/huge', 'larger than 262144 bytes'],
      [`plan/${at.plan.id}`, 'sentinel may not write this topic'],
      [`approval/${at.plan.id}`, 'sentinel may not write this topic'],
      [`finding/${'2'.repeat(16)}`, 'remediation may not write this topic'],
      ['freeze/never/such/a/topic', 'remediation may not write this topic'],
      ['finding/person', 'console may not write this topic'],
    ];
    for (const [topic = '', reason = ''] of wanted) {
      const isTold = (told: Rejected): boolean => told.topic === `${prefix}/${topic}` && told.reason.includes(reason);
      await house.until(() => person.all<Rejected>('bridge/rejected').some(isTold), `${topic} to be rejected`);
    }
    expect(person.all('bridge/rejected').length).toBeGreaterThanOrEqual(wanted.length);
    await stands(at);
  });

  test('no approval counts but one that is signed by a key that is known, for this plan, in its time, by who may', async () => {
    await using at = await siege();
    const { house, person, plan } = at;
    const keys = join(house.folder, 'state/keys');
    const known = loadSigner(keys, 'console');
    const unknown = loadSigner(join(house.folder, 'mallory'), 'mallory');
    const other = signed(plan, unknown);
    const forged: Approval[] = [
      { ...signed(plan, known), signature: { key: known.keyId, value: '' } },
      other,
      { ...other, signature: { key: known.keyId, value: other.signature.value } },
      { ...signed(plan, known, { approver: 'telegram:666' }), approver: 'telegram:101' },
    ];
    const past = { decidedAt: '2026-01-01T00:00:00.000Z', expiresAt: '2026-01-01T00:10:00.000Z' };
    const refused: [rule: RegExp, approval: Approval][] = [
      [/digests differ/, signed(plan, known, { digest: 'f'.repeat(64) })],
      [/may not approve/, signed(plan, known, { approver: 'telegram:666' })],
      [/too late/, signed(plan, known, past)],
    ];
    for (const approval of forged) {
      const dropped = droppedIn(house);
      await person.say(`approval/${plan.id}`, { schema: 'lares.approval/1', ...approval });
      await house.until(() => droppedIn(house) === dropped + 1, 'the approval to be dropped');
    }
    for (const [index, [rule, approval]] of refused.entries()) {
      await person.say(`approval/${plan.id}`, { schema: 'lares.approval/1', ...approval });
      const refusals = (): Run[] => person.all<Run>('run/').filter(({ status }) => status === 'refused');
      await house.until(() => refusals().length > index, `refusal ${index}`);
      expect(refusals().at(-1)?.reason).toMatch(rule);
      expect(at.shop.changes).toEqual([]);
    }
    await stands(at);
  });

  test('an approval that was used makes nothing run again, neither as it was nor for another plan', async () => {
    await using at = await siege();
    const { house, person, triage, plan, shop } = at;
    await stands(at);
    const [used] = person.all<Approval>('approval/');
    if (used === undefined) throw new Error('No approval was heard');
    await triage.say(`approval/${plan.id}`, used);
    await triage.say(`approval/${plan.id}`, { ...used, id: randomUUID() });
    const proposal = { id: `console-${randomUUID()}`, playbook: plan.playbook, parameters: plan.body?.parameters };
    const asked = { ...proposal, hosts: ['web'], findings: [], by: 'terminal:mallory', at: new Date().toISOString() };
    await person.say(`proposal/${proposal.id}`, { schema: 'lares.proposal/1', ...asked });
    const nextPlan = (): Plan | undefined => person.all<Plan>('plan/').find(({ id }) => id !== plan.id);
    await house.until(() => nextPlan() !== undefined, 'another plan');
    const next = nextPlan();
    if (next === undefined) throw new Error('There is no other plan');
    await triage.say(`approval/${next.id}`, { ...used, id: randomUUID(), plan: next.id, digest: next.digest });
    await house.until(() => droppedIn(house) === 2, 'both to be dropped');
    expect(shop.changes).toEqual(['restart shop.service']);
  });

  test('a plan whose commands are not what its digest says is never offered', async () => {
    await using at = await siege();
    const { house, remediation, plan, card, person } = at;
    const body = plan.body && {
      ...plan.body,
      steps: plan.body.steps.map((step) => ({ ...step, argv: ['rm', '-rf', '/srv'] })),
    };
    const id = `plan-${randomUUID()}`;
    const changed = { ...plan, schema: 'lares.plan/1', id, body };
    await remediation.say(`plan/${id}`, changed);
    await house.until(
      () => card.text.includes('A plan was not shown: its digest does not match'),
      'the card to say it',
    );
    expect(card.text).not.toContain('rm -rf');

    // Consistent in itself, but not what the worker has stored: it may be shown, and never runs.
    const lie = { ...changed, id: `${id}-2`, digest: body && digestOf(body) };
    await remediation.say(`plan/${id}-2`, lie);
    await house.until(() => card.text.includes('rm -rf'), 'the lie on the card');
    await house.until(() => canApprove(card), 'its button');
    await at.house.anna.press(card.id, 'Approve').answered;
    const isOfLie = (run: Run): boolean => run.plan === lie.id;
    await house.until(() => house.log.includes('an approval was refused'), 'the refusal');
    expect(person.all<Run>('run/').filter(isOfLie)).toEqual([]);
    expect(at.shop.changes).toEqual([]);
  });
});

/** After all of it: one incident, one card, no new chat message, no command ran; and the tap of a person still works. */
async function stands({ house, shop, card }: Siege): Promise<void> {
  expect(shop.changes).toEqual([]);
  const { incidents } = (await house.ask('incidents')) as { incidents: unknown[] };
  expect(incidents).toHaveLength(1);
  expect(house.messages().filter(({ text }) => / · critical · /.test(text))).toEqual([card]);
  const health = await fetch(`http://127.0.0.1:${house.crew.httpPort}/healthz`);
  expect(await health.json()).toMatchObject({ status: 'ok' });
  // After a refusal the card offers the same once more instead.
  if (!canApprove(card)) await house.anna.press(card.id, 'Ask again').answered;
  await house.until(() => canApprove(card), 'the button');
  expect((await house.anna.press(card.id, 'Approve').answered).text).toContain('Approved');
  await house.until(() => card.text.includes('\nfixed · '), 'the fix');
  expect(shop.changes).toEqual(['restart shop.service']);
}

/** How many approvals the worker has thrown away: they bore no signature that counts. */
function droppedIn(house: House): number {
  return house.log.split('approval-dropped').length - 1;
}

function canApprove(card: ChatMessage): boolean {
  return card.buttons.flat().some(({ text }) => text === 'Approve');
}

/** As the command line signs, with what is different. */
function signed(plan: Plan, signer: Signer, changes: Partial<Approval> = {}): Approval {
  const now = Date.now();
  return signApproval(
    {
      id: randomUUID(),
      plan: plan.id,
      digest: plan.digest ?? '',
      decision: 'approve',
      approver: 'telegram:101',
      name: 'Anna',
      proof: { kind: 'tap' },
      decidedAt: new Date(now).toISOString(),
      expiresAt: new Date(now + 60_000).toISOString(),
      ...changes,
    },
    signer,
  );
}
