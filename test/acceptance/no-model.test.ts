import { describe, expect, test } from 'vitest';
import { systemClock } from '#agents/runtime/clock.ts';
import { faults, type Reply, startOpenai } from '../parts/llm.ts';
import { hasSshd } from '../parts/sshd.ts';
import { House } from './house.ts';
import { Shop } from './shop.ts';

/** How long each provider may think: what a dead one may cost, and nothing more. */
const timeoutMs = 6_000;
/** A busy machine may need so long for what ought to take moments. */
const slackMs = 10_000;

const dead: [what: string, reply: Reply | 'closed', reason: RegExp][] = [
  ['a provider that hangs', faults.hang(), /did not answer within 6s/],
  ['an HTML page with status 500', faults.htmlError(500), /answered 500/],
  ['a key that is refused (401)', faults.unauthorized(), /answered 401: .*invalid x-api-key/],
  ['a bill that is due (402)', faults.paymentRequired(), /answered 402: .*Payment required/],
  ['a credit that is used up (400)', faults.creditBalance(), /answered 400: .*credit balance is too low/],
  ['a rate limit (429)', faults.rateLimited('120'), /answered 429: .*rate limit/],
  ['a port where nobody listens', 'closed', /gave no whole answer: .*ECONNREFUSED/],
  ['JSON that ends in the middle', faults.notJson(), /"model-0".+/],
];

describe.skipIf(!hasSshd)('with no model that answers', () => {
  test.concurrent.each(dead)(
    '%s delays no message, and the card says why no model was heard',
    async (_, reply, reason) => {
      await using shop = await Shop.open();
      await using fakes = await startModels([reply]);
      await using house = await House.open({ clock: systemClock, config: configOf(shop, fakes.providers) });
      shop.break();
      const card = await house.message(/does not answer/);
      const arrivedAt = Date.now();
      await house.until(() => /\(by rule, confidence \d+ %\)/.test(card.text), 'an assessment by rules');
      expect(Date.now() - arrivedAt).toBeLessThan(timeoutMs + slackMs);
      expect(card.text).toMatch(reason);
      expect(card.text).toContain('Passed over model-0');
      expect(card.text).toContain('no model provider could answer');
      // The first version was sent while the model was still being asked, or had failed already.
      expect(card.versions[0] ?? card.text).toMatch(/Assessing…|by rule/);
      await house.until(() => card.buttons.flat().some(({ text }) => text === 'Approve'), 'the plan');
      expect(house.messages().filter(({ buttons }) => buttons.length > 0)).toEqual([card]);
      expect(shop.changes).toEqual([]);
    },
  );

  test.concurrent('all of them at once: message, plan, approval, fix and proof work on', async () => {
    await using shop = await Shop.open();
    await using fakes = await startModels(dead.map(([, reply]) => reply));
    await using house = await House.open({ clock: systemClock, config: configOf(shop, fakes.providers) });
    shop.break();
    const card = await house.message(/does not answer/);
    await house.until(() => card.text.includes('(by rule'), 'an assessment by rules');
    // The card has room for the first of them only, where this machine has changes to tell of.
    expect(card.text).toContain('Passed over model-0');
    expect(fakes.asked()).toEqual(dead.map(([, reply]) => reply !== 'closed'));
    await house.until(() => card.buttons.flat().some(({ text }) => text === 'Approve'), 'the plan');
    expect(card.text).toContain('systemctl restart shop.service');
    const press = house.anna.press(card.id, 'Approve');
    expect((await press.answered).text).toContain('Approved');
    await house.until(() => card.text.includes('\nfixed · '), 'the fix');
    expect(await shop.isServing()).toBe(true);
    expect(shop.changes).toEqual(['restart shop.service']);
  });
});

/** A server for each reply, or a port where nobody listens. */
async function startModels(replies: readonly (Reply | 'closed')[]) {
  const fakes = await Promise.all(replies.map(() => startOpenai()));
  for (const [index, reply] of replies.entries()) {
    if (reply === 'closed') await fakes[index]?.[Symbol.asyncDispose]();
    else fakes[index]?.otherwise(reply);
  }
  const price = { inputPerMillion: 0, outputPerMillion: 0 };
  return {
    providers: fakes.map(({ url }, index) => {
      const name = `model-${index}`;
      return { name, kind: 'compatible', model: 'm', baseUrl: url, timeout: `${timeoutMs}ms`, price };
    }),
    /** Of each, whether a question arrived. */
    asked: () => fakes.map(({ requests }) => requests.length > 0),
    async [Symbol.asyncDispose]() {
      await Promise.all(
        fakes.filter((_, index) => replies[index] !== 'closed').map((fake) => fake[Symbol.asyncDispose]()),
      );
    },
  };
}

function configOf(shop: Shop, providers: readonly object[]): Record<string, unknown> {
  return {
    hosts: { web: shop.host },
    services: { shop: { on: 'web' } },
    checks: [{ ...shop.check, service: 'shop' }],
    llm: { providers },
  };
}
