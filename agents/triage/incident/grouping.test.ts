import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createInventory } from '#config/inventory.ts';
import { ConfigSchema } from '#config/schema.ts';
import { makeFinding, storyStart } from '../../../test/parts/triage-story.ts';
import { type Clue, clueOf } from './clue.ts';
import { type Group, groupsOf, placeGroups } from './grouping.ts';

const inventory = createInventory(
  ConfigSchema.parse({
    hosts: {
      pve: {},
      web: { on: 'pve' },
      db: { on: 'pve' },
      nas: {},
      app: { on: 'pve', dependsOn: ['postgres', 'nas'] },
    },
    services: {
      site: { on: 'web', dependsOn: ['postgres'], labels: { unit: 'nginx.service' } },
      postgres: { on: 'db', labels: { unit: 'postgresql.service' } },
    },
  }),
);

function clue(name: string, about: Parameters<typeof makeFinding>[0] | object = {}, afterMs = 0): Clue {
  return clueOf(makeFinding({ name, ...about }, storyStart + afterMs));
}

function rootsOf(groups: readonly Group[]): string[] {
  return groups.map((group) => group.root.summary).toSorted();
}

function ruleOf(groups: readonly Group[], of: Clue): string | undefined {
  return groups.flatMap((group) => group.members).find((member) => member.clue === of)?.rule;
}

describe('groups by cause', () => {
  test('thirty checks of a host that does not answer are one group under the host', () => {
    const down = clue('host-down', { host: 'web' }, 20_000);
    const others = Array.from({ length: 29 }, (_, index) =>
      clue(`check-unknown`, { host: 'web', resource: `r${index}`, condition: 'unknown' }, index * 100),
    );
    const groups = groupsOf([...others, down], inventory);
    expect(groups).toHaveLength(1);
    expect(groups[0]?.root).toBe(down);
    expect(groups[0]?.members).toHaveLength(30);
    expect(ruleOf(groups, down)).toBe('unreachable-host');
  });

  test('a node that is gone is the root itself, whoever of its cluster tells of it first', () => {
    const neighbour = clue('node-down', { host: 'nas', labels: { node: 'pve' } });
    const own = clue('host-down', { host: 'pve' }, 20_000);
    const [group, ...others] = groupsOf([neighbour, own], inventory);
    expect(others).toEqual([]);
    expect(group?.root).toBe(own);
    const [alone] = groupsOf([neighbour], inventory);
    expect(alone?.members[0]?.why).toBe('"pve" does not answer and nothing that it needs is firing');
  });

  test('what one host asks of another is a symptom of the other that does not answer, and of no other', () => {
    const down = clue('tcp-down', { host: 'web', resource: '10.0.0.12:22' }, 20_000);
    const zone = { host: 'db', kind: 'dns-zone' };
    const secondary = clue('zone-missing', { ...zone, resource: 'example.lan @10.0.0.12:53' });
    const other = clue('zone-missing', { ...zone, resource: 'example.lan @110.0.0.12:53' });
    const groups = groupsOf([secondary, other, down], inventory);
    expect(groups.map(({ root, members }) => [root, members.length])).toEqual([
      [down, 2],
      [other, 1],
    ]);
    expect(ruleOf(groups, secondary)).toBe('unreachable-host');
  });

  test('a guest that is gone was stopped by its node, which knows more than whoever asked the guest', () => {
    const own = clue('host-down', { host: 'web' });
    const node = clue('guest-down', { host: 'pve', labels: { guest: 'web', node: 'pve' } }, 20_000);
    const [group, ...others] = groupsOf([own, node], inventory);
    expect(others).toEqual([]);
    expect(group?.root).toBe(node);
  });

  test('a node explains its guests, and their services, and what depends on them', () => {
    const node = clue('host-down', { host: 'pve' });
    const guest = clue('host-down', { host: 'db' });
    const service = clue('http-down', { host: 'web', labels: { service: 'site' } });
    const dependent = clue('queue-long', { host: 'app' });
    const groups = groupsOf([dependent, service, guest, node], inventory);
    expect(rootsOf(groups)).toEqual(['host-down of pve']);
    expect(ruleOf(groups, guest)).toBe('runs-on');
    expect(ruleOf(groups, dependent)).toMatch(/runs-on|depends-on/);
  });

  test('what another program says hides nothing that Lares saw, and follows from it', () => {
    const fake = { ...clue('host-down', { host: 'web' }), isForeign: true };
    const own = clue('unit-failed', { host: 'web', labels: { unit: 'nginx.service' } });
    expect(rootsOf(groupsOf([fake, own], inventory))).toEqual(['host-down of web', 'unit-failed of web']);
    const gateway = { ...clue('gateway-down'), isForeign: true };
    const blind = clue('check-unknown', { host: 'nas', condition: 'unknown' });
    expect(groupsOf([gateway, blind], inventory)).toHaveLength(2);
    const down = clue('host-down', { host: 'nas' });
    const told = clueOf({ ...makeFinding({ name: 'http-down', host: 'nas' }, storyStart), foreign: true });
    expect(rootsOf(groupsOf([told, down], inventory))).toEqual(['host-down of nas']);
  });

  test('many alerts of one name and of no known host are one group, a few are not', () => {
    const many = (count: number): Clue[] =>
      Array.from({ length: count }, (_, index) => clue('TargetDown', { resource: `n${index}` }, index));
    expect(groupsOf(many(9), inventory)).toHaveLength(9);
    const groups = groupsOf([...many(500), clue('Other', { resource: 'x' })], inventory);
    expect(groups.map(({ members }) => members.length).toSorted((a, b) => a - b)).toEqual([1, 500]);
    expect(groups.flatMap(({ members }) => members).find(({ role }) => role === 'symptom')?.rule).toBe('same-alert');
  });

  test('a failed unit explains the service that it serves', () => {
    const unit = clue('unit-failed', { host: 'web', labels: { unit: 'nginx.service' } });
    const http = clue('http-down', { host: 'web', labels: { service: 'site' } }, -30_000);
    const groups = groupsOf([http, unit], inventory);
    expect(rootsOf(groups)).toEqual(['unit-failed of web']);
    expect(ruleOf(groups, http)).toBe('same-resource');
  });

  test('a failed database explains the site that depends on it', () => {
    const unit = clue('unit-failed', { host: 'db', labels: { unit: 'postgresql.service' } });
    const http = clue('http-down', { host: 'web', labels: { service: 'site' } });
    const groups = groupsOf([http, unit], inventory);
    expect(rootsOf(groups)).toEqual(['unit-failed of db']);
    expect(ruleOf(groups, http)).toBe('depends-on');
  });

  test('a full disk and a failed unit of one host are two incidents', () => {
    const disk = clue('filesystem-full', { host: 'web', resource: '/' });
    const unit = clue('unit-failed', { host: 'web', labels: { unit: 'cron.service' } });
    expect(groupsOf([disk, unit], inventory)).toHaveLength(2);
  });

  test('what one check says of five guests is one message, of four it is four', () => {
    const missing = (guest: number) =>
      clue('backup-missing', { host: 'pve', resource: `ct/${guest}`, labels: { check: 'pve-backups' } }, guest);
    const five = [1, 2, 3, 4, 5].map(missing);
    const groups = groupsOf(five, inventory);
    expect(groups.map(({ members }) => members.length)).toEqual([5]);
    expect(groups[0]?.members.at(-1)).toMatchObject({ rule: 'same-alert', why: 'the same check says it of 5 things' });
    expect(groupsOf(five.slice(1), inventory)).toHaveLength(4);
    const units = [1, 2, 3, 4, 5].map((n) =>
      clue('unit-failed', { host: 'web', labels: { check: 'web-units', unit: `u${n}` } }, n),
    );
    expect(groupsOf(units, inventory)).toHaveLength(5);
  });

  test('a problem that fired long before its host went down is not its symptom', () => {
    const disk = clue('filesystem-full', { host: 'web', resource: '/' });
    const down = clue('host-down', { host: 'web' }, 3 * 3_600_000);
    expect(groupsOf([disk, down], inventory)).toHaveLength(2);
  });

  test('while the gateway does not answer, what cannot be looked at is its symptom', () => {
    const gateway = clue('gateway-unreachable', { resource: '192.0.2.1' });
    const unseen = ['web', 'db', 'nas'].map((host) => clue('check-unknown', { host, condition: 'unknown' }));
    const groups = groupsOf([...unseen, gateway], inventory);
    expect(groups).toHaveLength(1);
    expect(groups[0]?.root).toBe(gateway);
  });

  test('things that depend on each other have one root', () => {
    const loop = createInventory(ConfigSchema.parse({ hosts: { a: { dependsOn: ['b'] }, b: { dependsOn: ['a'] } } }));
    const groups = groupsOf([clue('host-down', { host: 'b' }, 1), clue('host-down', { host: 'a' })], loop);
    expect(rootsOf(groups)).toEqual(['host-down of a']);
  });
});

const hosts = ['pve', 'web', 'db', 'nas', 'app'];
const names = ['host-down', 'unit-failed', 'http-down', 'filesystem-full', 'check-unknown', 'ssh-unreachable'];
const anyClue = fc
  .record({
    name: fc.constantFrom(...names),
    host: fc.constantFrom(...hosts),
    service: fc.option(fc.constantFrom('site', 'postgres'), { nil: undefined }),
    unit: fc.option(fc.constantFrom('nginx.service', 'postgresql.service'), { nil: undefined }),
    at: fc.integer({ min: 0, max: 4_000_000 }),
  })
  .map(({ name, host, service, unit, at }) =>
    clue(
      name,
      {
        host,
        condition: name === 'check-unknown' ? 'unknown' : 'problem',
        labels: { ...(service !== undefined && { service }), ...(unit !== undefined && { unit }) },
      },
      at,
    ),
  );
const anyScene = fc.uniqueArray(anyClue, { selector: (one) => one.fingerprint, maxLength: 14 });

function shape(groups: readonly Group[]): string[] {
  return groups
    .map((group) => {
      const members = group.members.map((member) => `${member.clue.fingerprint}:${member.role}:${member.rule}`);
      return [group.root.fingerprint, ...members.toSorted()].join(' ');
    })
    .toSorted();
}

describe('whatever fires', () => {
  test('the groups are the same in every order of arrival', () => {
    fc.assert(
      fc.property(
        anyScene.chain((scene) =>
          fc.tuple(fc.constant(scene), fc.shuffledSubarray(scene, { minLength: scene.length })),
        ),
        ([scene, shuffled]) => {
          expect(shape(groupsOf(shuffled, inventory))).toEqual(shape(groupsOf(scene, inventory)));
        },
      ),
    );
  });

  test('every finding is in exactly one group, every group has exactly one root, and each says why', () => {
    fc.assert(
      fc.property(anyScene, (scene) => {
        const groups = groupsOf(scene, inventory);
        const members = groups.flatMap((group) => group.members);
        expect(members.map((member) => member.clue.fingerprint).toSorted()).toEqual(
          scene.map((one) => one.fingerprint).toSorted(),
        );
        for (const group of groups) {
          expect(group.members.filter((member) => member.role === 'root')).toHaveLength(1);
          expect(group.members.every((member) => member.rule !== undefined && member.why !== '')).toBe(true);
        }
      }),
    );
  });

  test('each group finds one incident, and no incident is in two places', () => {
    fc.assert(
      fc.property(
        anyScene,
        fc.array(fc.tuple(fc.boolean(), fc.array(fc.nat(13), { minLength: 1, maxLength: 4 })), { maxLength: 5 }),
        (scene, drafts) => {
          const standings = drafts.flatMap(([sticky, picks], index) => {
            const members = [...new Set(picks.flatMap((pick) => scene[pick]?.fingerprint ?? []))];
            return members.length === 0
              ? []
              : [{ id: `i${index}`, sticky, root: members[0] ?? '', members, startsAt: index }];
          });
          const placements = placeGroups(groupsOf(scene, inventory), standings);
          const used = placements.flatMap(({ incident, merged }) => [
            ...(incident === undefined ? [] : [incident]),
            ...merged,
          ]);
          expect(new Set(used).size).toBe(used.length);
          expect(used.toSorted()).toEqual(standings.map((standing) => standing.id).toSorted());
          const placed = placements.flatMap(({ group }) => group.members.map((member) => member.clue.fingerprint));
          expect(placed.toSorted()).toEqual(scene.map((one) => one.fingerprint).toSorted());
        },
      ),
    );
  });
});

describe('what was told stays together', () => {
  test('when the root is over, the symptoms that still fire stay one incident under the best of them', () => {
    const first = clue('http-down', { host: 'web' });
    const second = clue('http-down', { host: 'nas' }, 1);
    const standing = {
      id: 'i',
      sticky: true,
      root: 'gone',
      members: ['gone', first.fingerprint, second.fingerprint],
      startsAt: 0,
    };
    const [placement, ...others] = placeGroups(groupsOf([first, second], inventory), [standing]);
    expect(others).toEqual([]);
    expect(placement?.incident).toBe('i');
    expect(placement?.group.root).toBe(first);
    expect(placement?.group.members.map((member) => member.rule)).toEqual(['alone', 'same-incident']);
  });

  test('while nothing was told, findings without a common cause part again', () => {
    const first = clue('http-down', { host: 'web' });
    const second = clue('http-down', { host: 'nas' }, 1);
    const standing = {
      id: 'i',
      sticky: false,
      root: first.fingerprint,
      members: [first.fingerprint, second.fingerprint],
      startsAt: 0,
    };
    const placements = placeGroups(groupsOf([first, second], inventory), [standing]);
    expect(placements.map((placement) => placement.incident)).toEqual(['i', undefined]);
  });
});
