import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '#bus/failure.ts';

interface PluginFolder<T> {
  /** One of our own folders: `new URL('./checks/', import.meta.url)`. Never a path from the configuration. */
  folder: URL;
  /** The name under which each file exports its plug-in: `check`, `step`, `provider`. */
  exportName: string;
  /** What the plug-in calls itself; the file has the same name. */
  kindOf: (plugin: T) => string;
  /** Loads no other kinds than these. Absent: all. */
  only?: ReadonlySet<string>;
}

/**
 * All plug-ins of a folder by kind: the folder is the registry. Throws a Failure for a file without the export or one
 * whose name is not its kind: a plug-in that cannot be found is worse than one that stops the start.
 */
export async function loadPlugins<T>(options: PluginFolder<T>): Promise<Map<string, T>> {
  const files = (await filesIn(options.folder)).filter((file) => options.only?.has(basename(file, '.ts')) ?? true);
  const loaded = await Promise.all(files.map((file) => loadPlugin(options, new URL(file, options.folder))));
  return new Map(loaded);
}

/** The kinds that a folder holds, without loading any. */
export async function pluginKinds(folder: URL): Promise<string[]> {
  return (await filesIn(folder)).map((file) => basename(file, '.ts'));
}

async function filesIn(folder: URL): Promise<string[]> {
  const path = fileURLToPath(folder);
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && /^[^.]+\.ts$/.test(entry.name))
      .map((entry) => entry.name)
      .toSorted();
  } catch (error) {
    throw new Failure(`Cannot read the plug-in folder "${path}"`, { recoverable: false, cause: error });
  }
}

async function loadPlugin<T>(options: PluginFolder<T>, file: URL): Promise<[string, T]> {
  const path = fileURLToPath(file);
  const exported = (await import(file.href)) as Record<string, T | undefined>;
  const plugin = exported[options.exportName];
  if (plugin === undefined) {
    throw new Failure(`Cannot load "${path}": it has no export "${options.exportName}"`, { recoverable: false });
  }
  const kind = options.kindOf(plugin);
  const name = basename(path, '.ts');
  if (kind !== name) {
    throw new Failure(`Cannot load "${path}": its kind is "${kind}", so the file must be "${kind}.ts"`, {
      recoverable: false,
    });
  }
  return [kind, plugin];
}
