import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Config, HostConfig, SecretRef } from './schema.ts';

/** A path of the configuration as an absolute one: relative to the configuration's folder, `~/` is the home folder. */
export function absolutePath(path: string, baseFolder: string): string {
  if (path.startsWith('~/')) return join(homedir(), path.slice(2));
  return resolve(baseFolder, path);
}

/**
 * The configuration with the paths of its own keys made absolute. What checks, presets, sources and intakes name among their
 * options stays as it is written: whoever reads that is given the configuration's folder.
 */
export function withAbsolutePaths(config: Config, baseFolder: string): Config {
  const at = (path: string): string => absolutePath(path, baseFolder);
  const secret = (ref: SecretRef): SecretRef => (ref.file === undefined ? ref : { ...ref, file: at(ref.file) });
  const { bus, telegram, llm, remediation } = config;
  return {
    ...config,
    state: at(config.state),
    ...(config.presets !== undefined && { presets: at(config.presets) }),
    bus: {
      ...bus,
      ...(bus.password !== undefined && { password: secret(bus.password) }),
      ...(bus.caFile !== undefined && { caFile: at(bus.caFile) }),
    },
    ...(telegram !== undefined && { telegram: { ...telegram, token: secret(telegram.token) } }),
    llm: {
      ...llm,
      providers: llm.providers.map((provider) =>
        provider.apiKey === undefined ? provider : { ...provider, apiKey: secret(provider.apiKey) },
      ),
    },
    remediation: {
      ...remediation,
      ...(remediation.playbooks !== undefined && { playbooks: at(remediation.playbooks) }),
      signers: remediation.signers.map((signer) => ({ ...signer, publicKeyFile: at(signer.publicKeyFile) })),
    },
    hosts: Object.fromEntries(Object.entries(config.hosts).map(([name, host]) => [name, hostPaths(host, at)])),
  };
}

function hostPaths(host: HostConfig, at: (path: string) => string): HostConfig {
  const login = (from: NonNullable<HostConfig['read']>): NonNullable<HostConfig['read']> => ({
    ...from,
    ...(from.keyFile !== undefined && { keyFile: at(from.keyFile) }),
    ...(from.passphraseFile !== undefined && { passphraseFile: at(from.passphraseFile) }),
  });
  return {
    ...host,
    ...(host.read !== undefined && { read: login(host.read) }),
    ...(host.act !== undefined && { act: login(host.act) }),
  };
}
