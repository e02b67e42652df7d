// Writes the static code of the messages in proto/*.proto, and the schema by which they are checked before they are decoded, to
// src/nodes/<name>/protocol/generated. Does nothing where that is newer than its source.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url))
const CODE = ['-t', 'static-module', '-w', 'esm', '--no-create', '--no-verify', '--no-convert', '--no-delimited', '--no-typeurl', '--no-service', '--dependency', 'protobufjs/minimal.js']

const folderOf = (name) => `src/nodes/${name}/protocol/generated`

/** @returns the folders of generated files, from the root of the project */
export function generate () {
  const names = readdirSync(path('proto')).map((file) => basename(file, '.proto'))
  for (const name of names) if (!isFresh(name)) write(name)
  return names.map(folderOf)
}

function isFresh (name) {
  const made = statSync(path(`${folderOf(name)}/schema.js`), { throwIfNoEntry: false })
  return made !== undefined && [`proto/${name}.proto`, 'scripts/proto.js', 'node_modules/protobufjs-cli/package.json'].every((source) => statSync(path(source)).mtimeMs < made.mtimeMs)
}

function write (name) {
  const work = mkdtempSync(join(tmpdir(), 'tunpipe-proto-'))
  const at = (file) => join(work, file)
  try {
    pbjs(name, at(`${name}.js`), ...CODE, '--dts') // declarations are made of comments, which the code itself does without
    pbjs(name, at(`${name}.js`), ...CODE, '--no-comments')
    pbjs(name, at('descriptor.json'), '-t', 'json')
    writeFileSync(at('schema.js'), schemaOf(name, JSON.parse(readFileSync(at('descriptor.json'), 'utf8'))))
    writeFileSync(at('schema.d.ts'), "import type { WireSchema } from '../../../../transforms/protobuf/wire.ts'\n\nexport declare const schemas: Readonly<Record<string, WireSchema>>\n")
    mkdirSync(path(folderOf(name)), { recursive: true })
    for (const file of [`${name}.js`, `${name}.d.ts`, 'schema.d.ts', 'schema.js']) { // the last one tells that all are there
      const target = path(`${folderOf(name)}/${file}`)
      writeFileSync(`${target}.${process.pid}`, readFileSync(at(file)))
      renameSync(`${target}.${process.pid}`, target)
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function pbjs (name, out, ...options) {
  const { status } = spawnSync(process.execPath, [path('node_modules/protobufjs-cli/bin/pbjs'), '--keep-case', ...options, '-o', out, path(`proto/${name}.proto`)], { stdio: 'inherit' })
  if (status !== 0) throw new Error(`pbjs has failed for ${name}.proto`)
}

/** The text and the messages in each message, by number of field. Enums and numbers are not listed. */
function schemaOf (name, descriptor) {
  const lines = []
  const done = new Set()
  const visit = (type, scopes, active = []) => {
    const scope = scopes.find((scope) => scope.nested?.[type] !== undefined)
    const message = scope?.nested[type]
    if (message?.fields === undefined) return undefined // an enum, or a number
    if (active.includes(type)) throw new Error(`${type} contains itself: the depth of ${name}.proto has no bound`)
    if (done.has(type)) return type
    const kindOf = (field) => field === 'string' ? "'string'" : visit(field, [message, ...scopes], [...active, type])
    const entries = Object.values(message.fields).flatMap(({ id, type: fieldType, keyType }) => {
      const kind = kindOf(fieldType)
      if (keyType === undefined) return kind === undefined ? [] : [`${id}: ${kind}`]
      const pair = [...keyType === 'string' ? ["1: 'string'"] : [], ...kind === undefined ? [] : [`2: ${kind}`]]
      return [`${id}: { ${pair.join(', ')} }`]
    })
    if (done.has(type)) throw new Error(`two messages of ${name}.proto are called ${type}`)
    done.add(type)
    lines.push(`const ${type} = {${entries.length === 0 ? '' : ` ${entries.join(', ')} `}}`)
    return type
  }
  const root = descriptor.nested[name]
  const types = Object.keys(root.nested).filter((type) => root.nested[type].fields !== undefined)
  for (const type of types) visit(type, [root])
  return `${lines.join('\n')}\nexport const schemas = { ${types.join(', ')} }\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) generate()
