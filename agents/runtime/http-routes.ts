type FoundRoute<H> =
  | { is: 'found'; handler: H; parameters: Record<string, string> }
  | { is: 'other-method'; methods: string[] }
  | { is: 'unknown' };

interface Route<H> {
  segments: readonly string[];
  handlers: Map<string, H>;
}

/**
 * Paths with `:name` parts and perhaps a final `*` for all that follows, and what answers each method of them. HEAD and
 * GET stand for each other.
 */
export class HttpRoutes<H> {
  readonly #routes = new Map<string, Route<H>>();

  add(methods: readonly string[], path: string, handler: H): void {
    const route = this.#routes.get(path) ?? { segments: path.split('/'), handlers: new Map() };
    for (const method of methods) route.handlers.set(method, handler);
    this.#routes.set(path, route);
  }

  /** `path` as it came in the request, without its query. */
  find(method: string, path: string): FoundRoute<H> {
    const segments = path.split('/');
    const others = new Set<string>();
    for (const route of this.#routes.values()) {
      const parameters = match(route.segments, segments);
      if (parameters === undefined) continue;
      const handler = route.handlers.get(method) ?? route.handlers.get(twins[method] ?? '');
      if (handler !== undefined) return { is: 'found', handler, parameters };
      for (const other of route.handlers.keys()) others.add(other);
    }
    return others.size === 0 ? { is: 'unknown' } : { is: 'other-method', methods: [...others] };
  }
}

const twins: Record<string, string> = { HEAD: 'GET', GET: 'HEAD' };

function match(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  const isOpen = pattern.at(-1) === '*';
  if (isOpen ? segments.length < pattern.length : segments.length !== pattern.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    if (isOpen && index === pattern.length - 1) {
      const rest = decoded(segments.slice(index).join('/'));
      return rest === undefined ? undefined : { ...parameters, '*': rest };
    }
    const segment = segments[index] ?? '';
    if (!part.startsWith(':')) {
      if (part !== segment) return undefined;
      continue;
    }
    const value = decoded(segment);
    if (value === undefined || value === '') return undefined;
    parameters[part.slice(1)] = value;
  }
  return parameters;
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
