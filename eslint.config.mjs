// What is checked here is mistakes. How code looks is prettier's, so no rule here has an opinion on it. A rule that is off says why.
import eslint from '@eslint/js';
import jest from 'eslint-plugin-jest';
import { defineConfig } from 'eslint/config';
import globals from 'globals';
import tseslint from 'typescript-eslint';

const SPECS = ['**/*.spec.ts', '**/test/**/*.ts', 'test/**/*.ts'];
const off = (...rules) => Object.fromEntries(rules.map((rule) => [`@typescript-eslint/${rule}`, 'off']));

const typescript = {
  '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }], // a number reads as one in any message
  '@typescript-eslint/no-confusing-void-expression': [
    'error',
    { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
  ],
  '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }], // Nest's modules are empty classes
  // Names of what is destructured away so that the rest lacks it.
  '@typescript-eslint/no-unused-vars': [
    'error',
    { ignoreRestSiblings: true, argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
  ],
  ...off(
    'no-non-null-assertion', // an index that a loop bounds: `!` says so, since noUncheckedIndexedAccess makes its author say it
    'no-unnecessary-condition', // types promise what JSON, a JavaScript caller or another process need not keep, and miss what a callback changed
    'use-unknown-in-catch-callback-variable', // a callback may say what its promise fails with, where that is known
    'require-await', // a method of an interface that answers with a promise may have nothing to wait for
    'no-unsafe-class-instance-assignment', // Nest declares the options that it takes as classes
    'no-invalid-void-type', // `Answer | void`: a callback that may answer, or do nothing
    'no-misused-spread', // protobuf's messages are plain data in a class, and `{ ...run, state }` is how a changed one is made
  ),
};

const specs = {
  'jest/expect-expect': [
    'error',
    { assertFunctionNames: ['expect', 'expect*', 'refuses', 'refused', 'rejects*', 'waitFor', 'shows', '*.over'] },
  ],
  'jest/no-disabled-tests': 'error',
  'jest/no-standalone-expect': 'off', // helpers that several tests share look for themselves
  ...off(
    'no-unsafe-assignment', // expect.any() and expect.objectContaining() are any
    'no-unsafe-member-access',
    'no-dynamic-delete', // process.env and the JSON of a damaged file
    'unbound-method', // expect(object.method) calls nothing
  ),
};

export default defineConfig(
  { ignores: ['**/dist/', '**/gen/', 'native/build*/', '.nx/', 'demo-output/', 'coverage/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: typescript,
  },
  { files: SPECS, extends: [jest.configs['flat/recommended']], rules: specs },
  { files: ['**/*.{mjs,cjs,js}'], languageOptions: { globals: globals.node } },
  { files: ['services/studio/public/**/*.js'], languageOptions: { globals: globals.browser } },
);
