/** One request, already bounded: the body is at most 100 kB (`/ping` bodies keep 10 kB of it). */
export interface HttpRequest {
  method: string;
  /** Values of the `:name` parts of the route. */
  parameters: Record<string, string>;
  query: URLSearchParams;
  headers: Headers;
  body: string;
}

export interface HttpAnswer {
  status: number;
  body: string;
  type?: string;
}

/** The one HTTP listener of a process, on loopback unless configured: `/healthz`, `/metrics`, heartbeats. */
export interface HttpSurface {
  /** `path` in hono's syntax: `/ping/:id`. Routes are added before `listen`. */
  route(
    methods: readonly string[],
    path: string,
    handler: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>,
  ): void;
}
