// One configuration for all packages: specs run on the sources, through swc; @atelier/* resolves to src, not to dist.
// `npx nx test PROJECT` runs one package's specs (tools/test/jest.mjs), `npx jest FILE` any.
const { readdirSync } = require('node:fs');
const { join } = require('node:path');

const libraries = readdirSync(join(__dirname, 'libs')).join('|');

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['libs', 'services', 'cli', 'test', 'tools'].map((part) => `<rootDir>/${part}`),
  testMatch: ['**/*.spec.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['/dist/', '<rootDir>/native/'],
  moduleNameMapper: { [`^@atelier/(${libraries})$`]: '<rootDir>/libs/$1/src' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          target: 'es2022',
          keepClassNames: true,
        },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
    // Published as ES modules only, which jest's CommonJS world cannot import: translated like the sources.
    '/node_modules/(hyparquet|hyparquet-compressors|hysnappy)/.+\\.js$': [
      '@swc/jest',
      { jsc: { target: 'es2022' }, module: { type: 'commonjs' } },
    ],
  },
  transformIgnorePatterns: ['/node_modules/(?!(hyparquet|hyparquet-compressors|hysnappy)/)'],
  // Ends what hangs, and judges nobody's speed: specs start servers and processes, on machines that may be busy.
  testTimeout: 180_000,
};
