import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadSkills, matchingSkills, parseSkill } from './skill.ts';

describe('the skills that ship', () => {
  test('keep to the format, with nothing to complain about', async () => {
    const { skills, faults } = await loadSkills();
    expect(faults).toEqual([]);
    expect(skills.map((skill) => skill.name).toSorted()).toEqual([
      'certificates',
      'disk-space',
      'docker-containers',
      'host-unreachable',
      'http-services',
      'systemd-units',
    ]);
  });

  test.each([
    ['unit-failed', 'systemd-units'],
    ['container-restarting', 'docker-containers'],
    ['filesystem-full', 'disk-space'],
    ['certificate-expiring', 'certificates'],
    ['http-down', 'http-services'],
    ['host-down', 'host-unreachable'],
  ])('say what they know of %s', async (alertname, name) => {
    const { skills } = await loadSkills();
    expect(matchingSkills(skills, { alertname })[0]?.name).toBe(name);
  });

  test('say nothing where no alert name fits', async () => {
    const { skills } = await loadSkills();
    expect(matchingSkills(skills, { alertname: 'moon-phase' })).toEqual([]);
    expect(matchingSkills(skills, {})).toEqual([]);
  });
});

describe('a foreign skill', () => {
  const parse = (text: string) => parseSkill('/skills/mine/SKILL.md', text);

  test('is loaded with unknown keys, nested metadata and another name, and the faults are told', () => {
    const { skill, faults } = parse(
      '---\nname: Other\ndescription: d\nhomepage: https://x.test\nmetadata:\n  openclaw: {emoji: x}\n---\nBody',
    );
    expect(skill).toMatchObject({ name: 'Other', body: 'Body', alertnames: [] });
    expect(faults).toHaveLength(3);
  });

  test('without a description is left out', () => {
    expect(parse('---\nname: mine\n---\nBody').skill).toBeUndefined();
  });

  test.each(['no front matter', '---\nname: [\n---\nBody', '---\n- a\n---\nBody', ''])(
    'that reads %j is left out',
    (text) => {
      expect(parse(text).skill).toBeUndefined();
    },
  );

  test('gives no tools: what it allows itself is not read', () => {
    const { skill } = parse('---\nname: mine\ndescription: d\nallowed-tools: Bash(rm:*)\n---\nBody');
    expect(JSON.stringify(skill)).not.toContain('Bash');
  });

  test('takes the place of ours with the same name', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lares-skills-'));
    try {
      await mkdir(join(folder, 'one'));
      await writeFile(join(folder, 'one', 'SKILL.md'), '---\nname: one\ndescription: first\n---\nA');
      await mkdir(join(folder, 'empty'));
      const { skills, faults } = await loadSkills([folder, join(folder, 'missing')]);
      expect(skills.map((skill) => skill.name)).toEqual(['one']);
      expect(faults).toHaveLength(2);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
