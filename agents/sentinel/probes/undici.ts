import { createRequire } from 'node:module';
import type * as undici from 'undici';

const load = createRequire(import.meta.url);

// Undici's own entry also loads fetch, caches, mocks and SOCKS: 4 MB that no check uses. The version is pinned.
export const UndiciAgent = load('undici/lib/dispatcher/agent.js') as typeof undici.Agent;
export const buildConnector = load('undici/lib/core/connect.js') as typeof undici.buildConnector;
