import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Folder, runCommand } from '../parts/command.ts';

const examples = join(import.meta.dirname, '../../config/examples');

interface Wrong {
  what: string;
  text: string;
  /** Place, path and a part of what would be right, in the order of the file. */
  faults: [place: string, path: string, says: string][];
}

const wrong: Wrong[] = [
  {
    what: 'names that do not exist',
    text: `
hosts:
  web: { address: 10.0.0.1, on: nowhere }
services:
  site: { on: wbe }
checks:
  - { id: site, kind: tcp, host: web, service: sit, address: 10.0.0.1, port: 80, dependsOn: [databse] }
`,
    faults: [
      ['3:29', 'hosts.web.on', 'names nothing in this configuration: "nowhere"'],
      ['5:11', 'services.site.on', 'did you mean "web"?'],
      ['7:39', 'checks[0].service', 'did you mean "site"?'],
      ['7:94', 'checks[0].dependsOn[0]', 'names nothing in this configuration: "databse"'],
    ],
  },
  {
    what: 'values out of their range, and keys in the wrong place',
    text: `
logLevel: loud
adress: 10.0.0.1
hosts:
  web: { address: 10.0.0.1, port: 70000, hostKeys: [SHA256:short], sudo: perhaps }
triage: { groupWait: soon }
digest: { at: '25:00', timezone: Mars/Olympus }
`,
    faults: [
      ['2:1', 'logLevel', '"debug"|"info"|"warn"|"error"'],
      ['3:1', 'adress', 'is not a key of this place'],
      ['5:29', 'hosts.web.port', '<=65535'],
      ['5:53', 'hosts.web.hostKeys[0]', 'SHA256:...'],
      ['5:68', 'hosts.web.sudo', 'must be boolean, not string'],
      ['6:11', 'triage.groupWait', 'a duration such as 30s, 5m'],
      ['7:11', 'digest.at', 'a time of day such as 07:30'],
      ['7:24', 'digest.timezone', 'a time zone such as Europe/Paris'],
    ],
  },
  {
    what: 'options that only the kind of a check knows',
    text: `
hosts: { web: { address: 10.0.0.1 } }
checks:
  - { id: kind, kind: htpp, host: web, url: 'https://example.org/' }
  - { id: key, kind: http, host: web, ulr: 'https://example.org/' }
  - { id: type, kind: tcp, host: web, address: 10.0.0.1, port: eighty }
  - { id: units, kind: systemd-unit }
`,
    faults: [
      ['4:17', 'checks[0].kind', 'did you mean "http"?'],
      ['5:5', 'checks[1].url', 'is missing'],
      ['5:39', 'checks[1].ulr', 'did you mean "url"?'],
      ['6:58', 'checks[2].port', 'must be number, not string'],
      ['7:5', 'checks[3]', 'needs a "host"'],
    ],
  },
  {
    what: 'faults of every sort at once',
    text: `
site: home/attic
hosts: { web: { address: 10.0.0.1 } }
checks:
  - { id: one, kind: http, host: wbe, ulr: 'https://example.org/', every: 5 parsecs }
  - { id: one, kind: abc, host: web, cron: 61 * * * * }
`,
    faults: [
      ['2:1', 'site', 'letters, digits, dots, dashes or underscores'],
      ['5:5', 'checks[0].url', 'is missing'],
      ['5:28', 'checks[0].host', 'did you mean "web"?'],
      ['5:39', 'checks[0].ulr', 'did you mean "url"?'],
      ['5:68', 'checks[0].every', 'a duration such as 30s'],
      ['6:7', 'checks[1].id', 'is used by another check: "one"'],
      ['6:16', 'checks[1].kind', 'known are accounts, '],
      ['6:38', 'checks[1].cron', 'for example "30 2 * * *"'],
    ],
  },
  {
    what: 'a secret in the file, models without what they need, and loops',
    text: `
hosts:
  a: { on: b }
  b: { on: a }
telegram: { token: '4242:do-not-print-me' }
llm:
  providers:
    - { name: one, kind: anthropic, model: m }
    - { name: one, kind: compatible, model: m }
`,
    faults: [
      ['3:8', 'hosts.a.on', 'runs on itself: a -> b -> a'],
      ['5:13', 'telegram.token', 'token: { file: token.secret }'],
      ['8:7', 'llm.providers[0]', 'apiKey: { file: anthropic.key }'],
      ['9:7', 'llm.providers[1]', 'http://127.0.0.1:11434/v1'],
      ['9:9', 'llm.providers[1].name', 'is used twice'],
    ],
  },
  {
    what: 'text that is no YAML',
    text: '\nhosts:\n  web: { address: a }\n  web: { address: b }\n\tdb: 1\n',
    faults: [
      ['4:3', '', 'map keys must be unique'],
      ['5:1', '', 'tabs are not allowed as indentation'],
    ],
  },
];

interface JsonFault {
  file: string;
  line: number;
  column: number;
  path: (string | number)[];
  message: string;
  hint?: string;
}

test.concurrent.each(wrong)(
  '$what: every fault at its line with what would be right, and status 2',
  async ({ text, faults }) => {
    using folder = new Folder();
    const file = join(folder.path, 'lares.yaml');
    writeFileSync(file, text);
    const [plain, json] = await Promise.all([
      runCommand(['validate'], { cwd: folder.path }),
      runCommand(['validate', '--json'], { cwd: folder.path }),
    ]);

    expect(plain).toMatchObject({ status: 2, stdout: '' });
    const lines = plain.stderr.trimEnd().split('\n');
    for (const [place, path, says] of faults) {
      const wanted = `${file}:${place} ${path === '' ? '' : `${path}: `}`;
      expect(lines.filter((line) => line.startsWith(wanted)).join('\n')).toContain(says);
    }
    // `site` breaks two rules at once; everything else is told exactly once.
    expect(lines.filter((line) => !line.includes(' site: must be 1 to 128'))).toHaveLength(faults.length);
    expect(plain.stderr).not.toContain('do-not-print-me');

    expect(json).toMatchObject({ status: 2, stderr: '' });
    const told = JSON.parse(json.stdout) as { error: string; faults: JsonFault[] };
    expect(told.error).toContain(file);
    expect(told.faults.map(({ line, column }) => `${line}:${column}`)).toEqual(
      lines.map((line) => line.slice(file.length + 1).split(' ')[0]),
    );
    expect(told.faults.every((fault) => fault.file === file && fault.message !== '')).toBe(true);
    expect(json.stdout).not.toContain('do-not-print-me');
  },
);

test.concurrent('nothing starts on a wrong configuration, and each command says why in the same way', async () => {
  using folder = new Folder();
  const file = join(folder.path, 'lares.yaml');
  writeFileSync(file, 'checks:\n  - { id: a, kind: http, ulr: http://127.0.0.1/ }\n');
  const commands = [['up'], ['sentinel'], ['check'], ['plan']];
  for (const argv of commands) {
    const { status, stderr } = await runCommand(argv, { cwd: folder.path });
    expect({ argv, status }).toEqual({ argv, status: 2 });
    expect(stderr).toContain(
      `${file}:2:26 checks[0].ulr: is no option of this kind of check: "ulr", did you mean "url"?`,
    );
  }
  expect(readdirSync(folder.path)).toEqual(['lares.yaml']);
});

test.concurrent('a file that is not there, and one that is no text, are faults and no crashes', async () => {
  using folder = new Folder();
  const binary = join(folder.path, 'binary.yaml');
  writeFileSync(binary, Buffer.from([0xff, 0x00, 0xfe, 0x07]));
  const missing = await runCommand(['validate', '-c', join(folder.path, 'no.yaml')], { cwd: folder.path });
  expect(missing).toMatchObject({ status: 2 });
  expect(missing.stderr).toContain('no.yaml:1:1 does not exist (config/examples/minimal.yaml');
  const unreadable = await runCommand(['validate', '-c', binary], { cwd: folder.path });
  expect(unreadable).toMatchObject({ status: 2 });
  expect(unreadable.stderr).toContain('binary.yaml:1:1 is not UTF-8 text');
});

test.concurrent.each(readdirSync(examples))('the example %s is valid', async (name) => {
  const { status, stdout, stderr } = await runCommand(['validate', '-c', join(examples, name)], { cwd: examples });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/: ok, \d+ hosts?, \d+ checks?, \d+ playbooks?\n$/);
});
