/** A name as two sources can be compared by it: `CT 110 Traefik`, `ct-110-traefik` and `CT_110_traefik.` are one. */
export function plainName(text: string): string {
  return text
    .slice(0, 256)
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}.]+/gu, '-')
    .replaceAll(/^[-.]+|[-.]+$/g, '');
}

/** The first label of a host name with a domain; undefined for one without, and for an address. */
export function shortName(text: string): string | undefined {
  const plain = plainName(text);
  const [first = '', ...domain] = plain.split('.');
  return domain.length === 0 || first === '' || /^[\d.]+$/.test(plain) ? undefined : first;
}

/** What a foreign name becomes where a name of the inventory must stand; undefined when nothing of it is left. */
export function inventoryName(text: string): string | undefined {
  const clean = text
    .slice(0, 256)
    .normalize('NFKD')
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replaceAll(/^[^A-Za-z0-9]+|[-.]+$/g, '')
    .slice(0, 100);
  return clean === '' ? undefined : clean;
}
