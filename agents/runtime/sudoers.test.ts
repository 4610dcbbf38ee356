import { expect, test } from 'vitest';
import { localRunner } from './local-command.ts';
import { sudoersRule, sudoersRuleOn } from './sudoers.ts';

const rest = (...argv: string[]) => sudoersRule('lares', ['/usr/bin/x', ...argv])?.split('/usr/bin/x ')[1];

test('a rule names a login, root and one command with all its arguments', () => {
  expect(sudoersRule('lares-act', ['/usr/bin/systemctl', 'restart', 'shop.service'])).toBe(
    'lares-act ALL=(root) NOPASSWD: /usr/bin/systemctl restart shop.service',
  );
});

test('a command without arguments is allowed without any, not with all', () => {
  expect(rest()).toBe('""');
});

test('what means something in sudoers means nothing', () => {
  expect(rest('--format={{.State.Status}}')).toBe(String.raw`--format\={{.State.Status}}`);
  expect(rest('a,b:c#d')).toBe(String.raw`a\,b\:c\#d`);
  expect(rest('*', '?[a]')).toBe(String.raw`\* \?\[a\]`);
  expect(rest(String.raw`in\x2dst`)).toBe(String.raw`in\\\\x2dst`);
  expect(rest('^a', 'b$')).toBe(String.raw`\^a b$`);
  expect(rest(' a  b', 'c ', '\t', 'd')).toBe(`${String.raw`\ a\ \ b c\ \ `}\\\t d`);
});

test('what no line can say has none', () => {
  for (const argument of ['a\nb', 'a\u{7}b', 'a ', 'a\t', '']) expect(rest(argument)).toBeUndefined();
  for (const login of ['ADMINS', 'ALL', '%wheel', '#1000', 'a b', 'x,y', '']) {
    expect([login, sudoersRule(login, ['/usr/bin/x'])]).toEqual([login, undefined]);
  }
  for (const program of ['x', '/usr/bin/', '/usr/bin/*', '/usr/bin/a b', '/usr/bin/x\n', '']) {
    expect([program, sudoersRule('lares', [program, 'a'])]).toEqual([program, undefined]);
  }
});

test('a program is looked for where sudo looks, and a builtin of the shell is no program', async () => {
  const { signal } = new AbortController();
  const ruleOf = (...argv: string[]) => sudoersRuleOn(localRunner, { login: 'lares', argv, signal });
  expect(await ruleOf('cat', '/etc/hosts')).toMatch(/^lares ALL=\(root\) NOPASSWD: (?:\/\S+)?\/bin\/cat \/etc\/hosts$/);
  expect(await ruleOf('echo', 'a')).toMatch(/\/bin\/echo a$/);
  expect(await ruleOf('/opt/own', 'a')).toBe('lares ALL=(root) NOPASSWD: /opt/own a');
  for (const program of ['not-there-at-all', './own', '$(id)', 'a b']) {
    expect([program, await ruleOf(program, 'a')]).toEqual([program, undefined]);
  }
});
