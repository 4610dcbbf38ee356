import { type ApiReply, type FakeApi, startFakeApi } from './fake-api.ts';

export interface FakeRdap extends FakeApi {
  /** The address to configure: the directory, which redirects to the registry. */
  readonly directory: string;
  readonly registry: Map<string, Record<string, unknown>>;
  /** Answers 429 with a Retry-After. */
  isLimited: boolean;
}

/** A directory as rdap.org and one registry behind it (RFC 9083), for `.org`; other endings have no registry. */
export async function startFakeRdap(): Promise<FakeRdap> {
  const registry = new Map<string, Record<string, unknown>>();
  const api = await startFakeApi((request): ApiReply | undefined => {
    const [, place, kind, name = ''] = request.path.split('/');
    if (kind !== 'domain') return undefined;
    if (place === 'directory') {
      if (!name.endsWith('.org')) return rdap(404, { errorCode: 404, title: 'Not found' });
      return { status: 302, body: '', headers: { location: `/registry/domain/${name}` } };
    }
    if (fake.isLimited) {
      return { ...rdap(429, { errorCode: 429, title: 'Too many requests' }), headers: { 'retry-after': '36000' } };
    }
    const found = registry.get(name);
    return found === undefined ? rdap(404, { errorCode: 404, title: 'Object not found' }) : rdap(200, found);
  });
  const fake: FakeRdap = Object.assign(api, { directory: `${api.url}/directory`, registry, isLimited: false });
  return fake;
}

function rdap(status: number, body: unknown): ApiReply {
  return { status, body: JSON.stringify(body), headers: { 'content-type': 'application/rdap+json' } };
}

/** As the registry of .org answers it, shortened. */
export function registrationOf(
  name: string,
  of: { expires: number; status?: string[]; nameservers?: string[] },
): Record<string, unknown> {
  return {
    objectClassName: 'domain',
    handle: 'D2345-LROR',
    ldhName: name.toUpperCase(),
    rdapConformance: ['rdap_level_0', 'icann_rdap_response_profile_1'],
    status: of.status ?? ['client transfer prohibited'],
    events: [
      { eventAction: 'registration', eventDate: '2004-01-13T22:41:31.052Z' },
      { eventAction: 'last changed', eventDate: '2025-12-13T02:16:06Z' },
      { eventAction: 'expiration', eventDate: new Date(of.expires).toISOString() },
      { eventAction: 'last update of RDAP database', eventDate: '2026-11-20T19:24:18Z' },
    ],
    entities: [
      {
        objectClassName: 'entity',
        handle: '1505',
        roles: ['registrar'],
        vcardArray: [
          'vcard',
          [
            ['version', {}, 'text', '4.0'],
            ['fn', {}, 'text', 'Gandi SAS'],
          ],
        ],
      },
    ],
    nameservers: (of.nameservers ?? ['NS1.EXAMPLE.NET', 'ns2.example.net']).map((ldhName) => ({
      objectClassName: 'nameserver',
      ldhName,
    })),
    secureDNS: { delegationSigned: false },
  };
}
