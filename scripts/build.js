// Builds dist/ from nothing, so that no file of a removed module stays, and makes the two programs executable. What is there
// already is replaced only once that has worked. Not by npx: in a global installation it looks elsewhere for the compiler.
// Does nothing where dist/ is newer than all that it is made of.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generate } from './proto.js'

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url))
const copied = [...generate(), 'src/nodes/natpass/peer/page/assets'] // the compiler takes TypeScript alone
const MARK = 'bin/relay.js' // as old as the begin of its build

/** Milliseconds since the epoch at which something was last written there; a folder changes with the names in it. */
const newest = (...names) => Math.max(...names.map((name) => {
  const of = statSync(name)
  return of.isDirectory() ? Math.max(of.mtimeMs, newest(...readdirSync(name).map((inside) => join(name, inside)))) : of.mtimeMs
}))

function isFresh () {
  const made = statSync(path(`dist/${MARK}`), { throwIfNoEntry: false })?.mtimeMs ?? 0
  return made > newest(...['src', 'bin', 'scripts/build.js', 'tsconfig.json', 'tsconfig.build.json', 'package.json', 'node_modules/typescript/package.json'].map(path))
}

function build () {
  const begin = new Date()
  rmSync(path('dist.new'), { recursive: true, force: true })
  const { status } = spawnSync(process.execPath, [path('node_modules/typescript/bin/tsc'), '-p', path('tsconfig.build.json'), '--outDir', path('dist.new')], { stdio: 'inherit' })
  if (status === 0) {
    for (const folder of copied) cpSync(path(folder), path(`dist.new/${folder}`), { recursive: true })
    for (const name of ['relay', 'peer']) chmodSync(path(`dist.new/bin/${name}.js`), 0o755)
    utimesSync(path(`dist.new/${MARK}`), begin, begin)
    rmSync(path('dist'), { recursive: true, force: true })
    renameSync(path('dist.new'), path('dist'))
  }
  return status ?? 1
}

if (!isFresh()) process.exitCode = build()
