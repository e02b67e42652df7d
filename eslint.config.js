import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

const CLOCK = 'Take a Clock (src/types.ts), by default `systemClock`; `every` and `wait` of src/streams/clock.ts do the rest.'

const CODES = 'The text of an error is for people: decide by its class, code or fields (src/errors.ts).'

/** Code that decides by the text of an error or of a log line, or takes it apart. Cutting it to a length is allowed. */
const textParsing = [
  "CallExpression[callee.property.name=/^(match|matchAll|search|includes|startsWith|endsWith|indexOf|lastIndexOf|replace|replaceAll|split|slice|substring|substr|at|charAt)$/]:not([arguments.0.value=0]) > MemberExpression.callee > :matches(MemberExpression[property.type='Identifier'][property.name='message'], CallExpression[callee.name=/^(reason|reasonOf)$/]).object",
  "CallExpression[callee.property.name=/^(test|exec|includes|has|get)$/] > :matches(MemberExpression[property.type='Identifier'][property.name='message'], CallExpression[callee.name=/^(reason|reasonOf)$/]).arguments",
  "BinaryExpression[operator=/^[!=]=/] > :matches(MemberExpression[property.type='Identifier'][property.name='message'], CallExpression[callee.name=/^(reason|reasonOf)$/])",
  "BinaryExpression[operator=/^[!=]=/]:has(> Literal[raw=/^['\"]/]) > Identifier[name='message']",
  "MemberExpression[computed=true] > MemberExpression[property.type='Identifier'][property.name='message'].property",
  "SwitchStatement > :matches(MemberExpression[property.type='Identifier'][property.name='message'], Identifier[name='message']).discriminant"
].map((selector) => ({ selector, message: CODES }))

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
    files: ['src/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', ...textParsing] }
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
      'no-restricted-syntax': ['error', ...textParsing,
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: CLOCK },
        { selector: "CallExpression[callee.name='Date']", message: CLOCK }
      ],
      'no-restricted-imports': ['error', {
        paths: ['timers', 'timers/promises', 'perf_hooks'].flatMap((name) => [name, `node:${name}`]).map((name) => ({ name, message: CLOCK }))
      }]
    }
  }
]
