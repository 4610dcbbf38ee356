import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import type { CheckContext, Observation } from '#agents/sentinel/check.ts';
import { parseLinks } from '#agents/sentinel/probes/network-links.ts';
import { answering, checkContext } from '../../../test/parts/check-context.ts';
import { describeWith } from '../../../test/parts/daemon.ts';
import { sectionsText } from '../../../test/parts/host-sections.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { until } from '../../../test/parts/until.ts';
import { createVirtualClock } from '../../../test/parts/virtual-clock.ts';
import { words } from '../../../test/parts/words.ts';
import { check } from './network-link.ts';

kindContract(check, () => ({}));

/** Lines of a Proxmox node: a Realtek of 2.5 Gb/s, a port without a cable, one that is off, a bridge, Wi-Fi and a guest. */
const node = {
  enp1s0: 'enp1s0|yes|no|0x1003|up|1|2500|full|2|0|0',
  eno2: 'eno2|yes|no|0x1003|down|0|-1|unknown|1|0|0',
  eno3: 'eno3|yes|no|0x1002|down|-|-|-|1|0|0',
  vmbr0: 'vmbr0|no|no|0x1003|up|1|10000|unknown|1|0|0',
  wlp2s0: 'wlp2s0|yes|yes|0x1003|up|1|-|-|2|0|0',
  veth101i0: 'veth101i0|no|no|0x1103|up|1|10000|full|4|0|0',
};

class Host {
  readonly clock = createVirtualClock(Date.UTC(2026, 10, 20));
  #lines: Record<string, string> = { ...node };
  readonly #context = checkContext({ clock: this.clock });

  set(changed: Record<string, string>): this {
    this.#lines = { ...this.#lines, ...changed };
    return this;
  }

  async look(options: object = {}): Promise<Observation[]> {
    const probe = answering(sectionsText({ links: Object.values(this.#lines).join('\n'), done: '' }));
    const context: CheckContext = { ...this.#context, probe };
    const found = await check.observe(check.options.parse(options), context);
    await this.clock.advance(60_000);
    return found;
  }
}

describe('adapters', () => {
  test('of the hardware that have a partner are well; guests, bridges and ports without a cable are left out', async () => {
    expect(words(await new Host().look())).toEqual([
      'link-down network adapters ok',
      'link-down enp1s0 ok',
      'link-slow enp1s0 ok',
      'link-half-duplex enp1s0 ok',
      'link-flapping enp1s0 ok',
    ]);
  });

  test('that lose their partner are missed, those that are switched off are not', async () => {
    const host = new Host();
    await host.look();
    host.set({ enp1s0: 'enp1s0|yes|no|0x1003|down|0|-1|unknown|3|0|0' });
    expect(problems(await host.look())).toEqual([
      'warning link-down: enp1s0 has no partner: the cable, or the other end',
    ]);
    host.set({ enp1s0: 'enp1s0|yes|no|0x1002|down|-|-|-|3|0|0' });
    expect(problems(await host.look())).toEqual([]);
  });

  test('that are named are critical without a partner, when they are off, and when they are gone', async () => {
    const links = [{ name: 'eno2' }, { name: 'eno3' }, { name: 'enp9s0' }];
    expect(problems(await new Host().look({ links }))).toEqual([
      'critical link-down: eno2 has no partner: the cable, or the other end',
      'critical link-down: eno3 is switched off',
      'critical link-down: the adapter enp9s0 is not there: it was renamed, or its hardware is gone',
    ]);
  });

  test('a direct link of 2.5 Gb/s that fell back to 1 is slow, by what it must have or by what it once had', async () => {
    const slow = { enp1s0: 'enp1s0|yes|no|0x1003|up|1|1000|full|4|0|0' };
    const wanted = await new Host().set(slow).look({ links: [{ name: 'enp1s0', speed: 2_500 }] });
    expect(problems(wanted)).toEqual([
      'warning link-slow: enp1s0 runs at 1 Gb/s, it must have 2.5 Gb/s: often one wire of the cable',
    ]);
    const host = new Host();
    await host.look();
    host.set(slow);
    expect(problems(await host.look())).toEqual([
      'warning link-slow: enp1s0 runs at 1 Gb/s, it once had 2.5 Gb/s: often one wire of the cable',
    ]);
    await host.clock.advance(7 * 86_400_000);
    expect(problems(await host.look())).toEqual([]);
  });

  test('half duplex, and an adapter without a speed where one is wanted, are told', async () => {
    const host = new Host().set({ enp1s0: 'enp1s0|yes|no|0x1003|up|1|100|half|2|0|0' });
    const links = [{ name: 'vmbr9', speed: 1_000 }, { name: 'enp1s0' }];
    host.set({ vmbr9: 'vmbr9|no|no|0x1003|up|1|-1|-|1|0|0' });
    expect(problems(await host.look({ links }))).toEqual([
      'unknown link-slow vmbr9: the adapter tells no speed',
      'warning link-half-duplex: enp1s0 runs half duplex: the two ends did not agree',
    ]);
  });

  test('that flap are told from the fourth change on, until ten minutes are quiet', async () => {
    const host = new Host();
    const at = (changes: number) => host.set({ enp1s0: `enp1s0|yes|no|0x1003|up|1|2500|full|${changes}|0|0` });
    await host.look();
    expect(problems(await at(5).look())).toEqual([]);
    expect(problems(await at(6).look())).toEqual([
      'warning link-flapping: enp1s0 lost or found its partner 4 times within 10m',
    ]);
    await host.clock.advance(11 * 60_000);
    expect(problems(await host.look())).toEqual([]);
    expect(problems(await at(0).look())).toEqual([]);
  });

  test('with damaged frames are a level per second', async () => {
    const host = new Host();
    await host.look();
    host.set({ enp1s0: 'enp1s0|yes|no|0x1003|up|1|2500|full|2|300|60' });
    expect(problems(await host.look())).toEqual([
      'warning link-errors: enp1s0 has 6 damaged or lost frames per second',
    ]);
  });

  test('a host without hardware of its own is unknown until some are named', async () => {
    const probe = answering(sectionsText({ links: node.veth101i0, done: '' }));
    const found = await check.observe(check.options.parse({}), checkContext({ probe }));
    expect(problems(found)).toEqual([expect.stringContaining('as in a container: name those that have to work')]);
  });

  test('are read from any text within bounds', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 80 })), (lines) => {
        expect(parseLinks(lines).length).toBeLessThanOrEqual(200);
      }),
    );
  });
});

test('a name cannot be anything else', () => {
  expect(check.options.safeParse({ links: [{ name: 'a b' }] }).success).toBe(false);
});

const canMake = process.getuid?.() === 0 ? ['ip'] : ['root'];

describeWith(canMake, 'a pair of adapters of this machine', () => {
  const name = `lt${process.pid}a`;
  const other = `lt${process.pid}b`;
  const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: 'ignore' });

  afterEach(() => ip('link', 'delete', name));

  test('has a partner until the other end is switched off, and its counters are evidence', async () => {
    ip('link', 'add', name, 'type', 'veth', 'peer', 'name', other);
    ip('link', 'set', name, 'up');
    ip('link', 'set', other, 'up');
    const options = check.options.parse({ links: [{ name, speed: 10_000 }] });
    const context = checkContext();
    const well = await check.observe(options, context);
    expect(words(well.filter(({ labels }) => labels?.['interface'] === name))).toEqual([
      `link-down ${name} ok`,
      `link-slow ${name} ok`,
      `link-half-duplex ${name} ok`,
      `link-flapping ${name} ok`,
    ]);
    ip('link', 'set', other, 'down');
    // The kernel says "carrier" at once and "operstate" a little later.
    let down: Observation | undefined;
    await until(async () => {
      [, down] = await check.observe(options, context);
      return down?.summary === `${name} has no partner: the cable, or the other end`;
    }, 'the loss of the partner');
    const evidence = down === undefined ? [] : await check.evidence.gather(options, context, down);
    expect(evidence.map(({ title }) => title)).toContain('Counters');
  });
});
