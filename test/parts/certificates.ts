import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Real certificates made by OpenSSL; without it a test says SKIPPED. */
export const hasOpenssl = process.env['LARES_REQUIRE_PARTS'] === '1' || runs('openssl', ['version']);

export interface ServerKeys {
  key: string;
  /** The certificate and those between it and the root. */
  cert: string;
}

interface Validity {
  name: string;
  /** Epoch ms. */
  notBefore?: number;
  notAfter?: number;
}

/** A certificate authority of its own in a folder of its own. */
export interface Authority extends Disposable {
  caFile: string;
  issue(validity: Validity): ServerKeys;
  issueSelfSigned(name: string): ServerKeys;
}

const dayMs = 86_400_000;

export function createAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'lares-ca-'));
  const at = (name: string): string => join(folder, name);
  writeFileSync(at('ca.cnf'), configOf(folder));
  writeFileSync(at('index.txt'), '');
  openssl(['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'], {
    key: at('ca.key'),
    out: at('ca.pem'),
    subject: '/CN=Lares test authority',
  });
  let serial = 0;
  return {
    caFile: at('ca.pem'),
    issue(validity) {
      serial += 1;
      const names = { key: at(`${serial}.key`), out: at(`${serial}.csr`), subject: `/CN=${validity.name}` };
      openssl(['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'], names);
      sign({ folder, serial, validity });
      return { key: readFileSync(names.key, 'utf8'), cert: readFileSync(at(`${serial}.pem`), 'utf8') };
    },
    issueSelfSigned(name) {
      serial += 1;
      const names = { key: at(`${serial}.key`), out: at(`${serial}.pem`), subject: `/CN=${name}` };
      const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
      openssl(['req', '-x509', ...curve, '-nodes', '-days', '90', '-addext', `subjectAltName=${sanOf(name)}`], names);
      return { key: readFileSync(names.key, 'utf8'), cert: readFileSync(names.out, 'utf8') };
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** `openssl ca` is the one command of OpenSSL 3.0 that takes the start and the end of a certificate. */
function sign(of: { folder: string; serial: number; validity: Validity }): void {
  const { folder, serial, validity } = of;
  const at = (name: string): string => join(folder, name);
  writeFileSync(at(`${serial}.ext`), `subjectAltName=${sanOf(validity.name)}\nextendedKeyUsage=serverAuth\n`);
  const notBefore = validity.notBefore ?? Date.now() - dayMs;
  const span = ['-startdate', asn1(notBefore), '-enddate', asn1(validity.notAfter ?? Date.now() + 89 * dayMs)];
  const files = ['-config', at('ca.cnf'), '-in', at(`${serial}.csr`), '-out', at(`${serial}.pem`)];
  execFileSync('openssl', ['ca', '-batch', '-notext', ...span, ...files, '-extfile', at(`${serial}.ext`)], {
    stdio: 'pipe',
  });
}

function sanOf(name: string): string {
  return /^[\d.]+$/.test(name) ? `IP:${name}` : `DNS:${name}`;
}

function asn1(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
}

function openssl(argv: string[], of: { key: string; out: string; subject: string }): void {
  execFileSync('openssl', [...argv, '-keyout', of.key, '-out', of.out, '-subj', of.subject], { stdio: 'pipe' });
}

function configOf(folder: string): string {
  return `[ca]
default_ca = own
[own]
database = ${folder}/index.txt
new_certs_dir = ${folder}
certificate = ${folder}/ca.pem
private_key = ${folder}/ca.key
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
`;
}

function runs(program: string, argv: string[]): boolean {
  try {
    execFileSync(program, argv, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
