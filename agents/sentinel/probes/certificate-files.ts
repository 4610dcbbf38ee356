import { X509Certificate } from 'node:crypto';
import { type Certificate, certificateOf } from './certificate.ts';

/** A file with certificates, its own first. */
export interface CertificateFile {
  path: string;
  /** Epoch ms. */
  changedAt: number;
  chain: Certificate[];
  /** DNS names of the first, as they stand there. */
  names: string[];
}

interface CertificateListing {
  files: CertificateFile[];
  /** What was not looked at: a path or pattern, and why. */
  unseen: { path: string; reason: string }[];
}

/** What the script printed about files. A path is taken once, however many patterns name it. */
export function parseCertificateFiles(text: string): CertificateListing {
  const listing: CertificateListing = { files: [], unseen: [] };
  const seen = new Set<string>();
  for (const block of blocksOf(text)) {
    const [head = '', ...lines] = block;
    const [, word = '', rest = ''] = /^(\w+) ?(.*)$/.exec(head) ?? [];
    const path = word === 'file' || word === 'hidden' ? rest.replace(/^\S+ /, '') : rest;
    if (seen.has(path)) continue;
    seen.add(path);
    if (word === 'file') addFile(listing, { path, changed: Number.parseInt(rest, 10), lines });
    else listing.unseen.push({ path: path === '' ? 'more files' : path, reason: reasonOf(word, rest) });
  }
  return listing;
}

/** A line with a head begins a block: base64 holds no blank, and `more` stands alone. */
function blocksOf(text: string): string[][] {
  const blocks: string[][] = [];
  for (const line of text.split('\n')) {
    if (/^(?:file \d+|locked|none|hidden) \/|^file \d+ |^more$/.test(line)) blocks.push([line]);
    else blocks.at(-1)?.push(line);
  }
  return blocks;
}

function reasonOf(word: string, rest: string): string {
  switch (word) {
    case 'locked':
      return 'this user may not read it';
    case 'hidden':
      return `this user may not look into ${rest.split(' ')[0] ?? ''}: give its group or the read login access`;
    case 'more':
      return 'there are more than 200 files';
    default:
      return 'there is no such file';
  }
}

function addFile(listing: CertificateListing, of: { path: string; changed: number; lines: readonly string[] }): void {
  const pems = of.lines.join('\n').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const certificates = pems.slice(0, 10).map(parseCertificate);
  const [own] = certificates;
  if (own === undefined) {
    listing.unseen.push({ path: of.path, reason: 'it holds no certificate in PEM' });
    return;
  }
  // A chain that breaks off in the middle is known up to there; its own certificate must be readable.
  const known = certificates.filter((one) => one !== undefined);
  if (known[0] !== own) return;
  const chain = known.filter((one, place) => place === 0 || !one.checkIssued(one));
  listing.files.push({
    path: of.path,
    changedAt: of.changed * 1_000,
    chain: chain.map((one) => certificateOf(one.toLegacyObject())),
    names: namesOf(own),
  });
}

function parseCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function namesOf(certificate: X509Certificate): string[] {
  return [...(certificate.subjectAltName ?? '').matchAll(/DNS:([A-Za-z0-9*._-]{1,253})/g)].flatMap(
    ([, name]) => name ?? [],
  );
}
