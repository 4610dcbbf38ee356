import { createRequire } from 'node:module';

// `import` reads every export of a built-in module, and one of node:http loads Node's fetch: 9 MB that nothing uses.
export const { createServer, request, STATUS_CODES } = createRequire(import.meta.url)(
  'node:http',
) as typeof import('node:http');
