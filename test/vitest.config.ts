import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const root = join(import.meta.dirname, '..');

/** Unit and contract tests; then the stories, which run the whole program and mostly wait for it. */
const config = defineConfig({
  root,
  test: {
    projects: [
      {
        root,
        test: {
          name: 'unit',
          // The tests wait for sockets and processes more than they compute.
          maxWorkers: 4,
          include: ['{agents,bus,config,playbooks,skills}/**/*.test.ts', 'test/{parts,contract,bench}/**/*.test.ts'],
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        root,
        test: {
          name: 'acceptance',
          include: ['test/{fleet,acceptance}/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 240_000,
          // One for each seat of the lab (test/fleet/lab.ts): a file that needs hosts never waits for another.
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});

// oxlint-disable-next-line import/no-default-export -- Vitest reads its configuration from the default export.
export default config;
