import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

const CLOCK = 'Take a Clock (src/types.ts), by default `systemClock`; `every` and `wait` of src/streams/clock.ts do the rest.'

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
  },
  {
    // Time belongs to the contracts: what waits or measures takes a `Clock`. Only src/streams makes one of the system's.
    files: ['src/**/*.ts'],
    ignores: ['src/cli/**', 'src/streams/**'],
    rules: {
      'no-restricted-globals': ['error', ...['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'].map((name) => ({ name, message: CLOCK }))],
      'no-restricted-properties': ['error',
        ...['globalThis', 'global'].flatMap((object) => ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'performance'].map((property) => ({ object, property, message: CLOCK }))),
        { object: 'Date', property: 'now', message: CLOCK },
        { object: 'performance', property: 'now', message: CLOCK },
        { object: 'AbortSignal', property: 'timeout', message: CLOCK },
        { object: 'process', property: 'hrtime', message: CLOCK },
        { object: 'process', property: 'uptime', message: CLOCK }
      ],
      'no-restricted-syntax': ['error',
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: CLOCK },
        { selector: "CallExpression[callee.name='Date']", message: CLOCK }
      ],
      'no-restricted-imports': ['error', {
        paths: ['timers', 'timers/promises', 'perf_hooks'].flatMap((name) => [name, `node:${name}`]).map((name) => ({ name, message: CLOCK }))
      }]
    }
  }
]
