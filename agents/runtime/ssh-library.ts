/** Loaded with the first connection: where nothing is reached over SSH, its 5 MB of code and tables are not needed. */
export async function loadSsh(): Promise<typeof import('ssh2')> {
  return (await import('ssh2')).default;
}
