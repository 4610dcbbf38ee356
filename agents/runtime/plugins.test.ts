import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failure } from '#bus/failure.ts';
import { loadPlugins } from './plugins.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lares-plugins-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Plugin {
  kind: string;
}

function load(): Promise<Map<string, Plugin>> {
  return loadPlugins<Plugin>({
    folder: pathToFileURL(`${folder}/`),
    exportName: 'check',
    kindOf: (plugin) => plugin.kind,
  });
}

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
}

test('each file is a plug-in under its own name; tests, folders and other files are none', async () => {
  write('tcp.ts', "export const check: { kind: string } = { kind: 'tcp' };");
  write('docker-container.ts', "export const check = { kind: 'docker-container' };");
  write('tcp.test.ts', "throw new Error('a test is not loaded');");
  write('notes.md', 'text');
  const plugins = await load();
  expect([...plugins.keys()]).toEqual(['docker-container', 'tcp']);
  expect(plugins.get('tcp')).toEqual({ kind: 'tcp' });
});

test('a file whose name is not its kind stops the start with a clear message', async () => {
  write('tpc.ts', "export const check = { kind: 'tcp' };");
  await expect(load()).rejects.toThrow(/tpc\.ts": its kind is "tcp", so the file must be "tcp\.ts"$/);
});

test('a file without the export stops the start with a clear message', async () => {
  write('tcp.ts', "export const chek = { kind: 'tcp' };");
  await expect(load()).rejects.toThrow(/has no export "check"$/);
  await expect(load()).rejects.toBeInstanceOf(Failure);
});

test('a folder that is not there stops the start', async () => {
  rmSync(folder, { recursive: true });
  await expect(load()).rejects.toThrow(/^Cannot read the plug-in folder/);
});
