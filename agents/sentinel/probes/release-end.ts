/** The release of a distribution and when its security updates end. */
interface Release {
  name: string;
  /** Epoch ms; undefined when nobody here knows. */
  endsAt?: number;
}

/**
 * End of the free security updates, LTS included. Sources: wiki.debian.org/LTS, ubuntu.com/about/release-cycle, as of 2026.
 * What the host's own distro-info-data or SUPPORT_END says goes before.
 */
const knownEnds: Record<string, string> = {
  'debian 9': '2022-06-30',
  'debian 10': '2024-06-30',
  'debian 11': '2026-08-31',
  'debian 12': '2028-06-30',
  'debian 13': '2030-06-30',
  'ubuntu 18.04': '2023-05-31',
  'ubuntu 20.04': '2025-05-31',
  'ubuntu 22.04': '2027-06-01',
  'ubuntu 24.04': '2029-05-31',
  'ubuntu 26.04': '2031-05-29',
};

/** Reads `os-release` and, where it is installed, the table of distro-info-data (`version,codename,series,...`). */
export function readRelease(osRelease: string, distroInfo: string): Release {
  const fields = parseFields(osRelease);
  const field = (key: string): string => fields.get(key) ?? '';
  const id = `${field('ID')} ${field('VERSION_ID')}`.trim();
  const name = field('PRETTY_NAME') || id || 'an unknown release';
  const end = field('SUPPORT_END') || endFromTable(field('VERSION_CODENAME'), distroInfo) || knownEnds[id];
  const endsAt = Date.parse(end ?? '');
  return Number.isFinite(endsAt) ? { name, endsAt } : { name };
}

function parseFields(text: string): Map<string, string> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [, key, value] = /^([A-Z_]+)=["']?([^"']*)["']?\s*$/.exec(line) ?? [];
      return key !== undefined && value !== undefined ? [[key, value] as const] : [];
    }),
  );
}

/** Of Debian the end of LTS, of Ubuntu that of the free updates; both tables name their columns in the first line. */
function endFromTable(codename: string, table: string): string | undefined {
  if (codename === '') return undefined;
  let columns: string[] = [];
  for (const line of table.split('\n')) {
    const cells = line.trim().split(',');
    if (cells[0] === 'version') columns = cells;
    if (cells[2] !== codename) continue;
    const cell = (column: string): string | undefined => cells[columns.indexOf(column)] || undefined;
    return cell('eol-lts') ?? cell('eol-server') ?? cell('eol');
  }
  return undefined;
}
