/** Loads modules in TypeScript; what the compiler makes of one is kept in `node_modules/.cache` until the module changes. */
import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const { version } = require('typescript/package.json')
const folder = fileURLToPath(new URL('../../../node_modules/.cache/tunpipe-tests/', import.meta.url))
mkdirSync(folder, { recursive: true })

const digest = (...texts) => createHash('sha256').update(texts.join('\0')).digest('hex')

/** The compiler takes longer to load than all modules of most tests, so it is loaded only when something has changed. */
function compile (source, fileName) {
  const ts = require('typescript')
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true, inlineSourceMap: true }
  return ts.transpileModule(source, { fileName, compilerOptions }).outputText
}

/** One file for each module; its last line says of what it was made. */
function compiled (path) {
  const source = readFileSync(path, 'utf8')
  const kept = folder + digest(path)
  const end = `\n// ${digest(version, source)}\n`
  try {
    const code = readFileSync(kept, 'utf8')
    if (code.endsWith(end)) return code
  } catch (err) {
    if (err.code !== 'ENOENT') throw err
  }
  const code = compile(source, path) + end
  const part = `${kept}.${randomUUID()}` // several threads of a process may compile the same module
  writeFileSync(part, code)
  renameSync(part, kept) // other tests read it meanwhile
  return code
}

export async function load (url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return await next(url, context)
  return { format: 'module', source: compiled(fileURLToPath(url)), shortCircuit: true }
}
