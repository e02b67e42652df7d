import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: resolveIgnoresFromGitignore() }),
  {
    rules: {
      curly: ['error', 'multi-line'],
      'no-console': 'off',
      'no-void': ['error', { allowAsStatement: true }] // marks a promise that is not awaited on purpose
    }
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/cli/**'],
    rules: { 'no-console': 'error' }
  }
]
