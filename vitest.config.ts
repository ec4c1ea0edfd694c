import { defineConfig } from 'vitest/config';

/** Tests that start what a build has made; all others make up the unit part. */
const ofTheBundle = ['test/{e2e,local}/**/*.test.ts', 'test/{action,cli,docs,readme}.test.ts'];
const shared = {
  testTimeout: 120_000,
  // Hooks project hundreds of published runs, which takes its time on a loaded machine.
  hookTimeout: 300_000,
  server: { deps: { inline: [/@actions\/(languageservice|workflow-parser|expressions)/] } },
};

export default defineConfig({
  logLevel: 'error',
  test: {
    projects: [
      { test: { ...shared, name: 'unit', include: ['test/**/*.test.ts'], exclude: ofTheBundle } },
      { test: { ...shared, name: 'bundle', include: ofTheBundle, globalSetup: 'test/bundle.ts' } },
    ],
  },
});
