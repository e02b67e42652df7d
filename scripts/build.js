// Builds dist/ from nothing, so that no file of a removed module stays, and makes the two programs executable. What is there
// already is replaced only once that has worked. Not by npx: in a global installation it looks elsewhere for the compiler.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, renameSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { generate } from './proto.js'

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url))
const copied = [...generate(), 'src/nodes/natpass/peer/page/assets'] // the compiler takes TypeScript alone
rmSync(path('dist.new'), { recursive: true, force: true })
const { status } = spawnSync(process.execPath, [path('node_modules/typescript/bin/tsc'), '-p', path('tsconfig.build.json'), '--outDir', path('dist.new')], { stdio: 'inherit' })
if (status === 0) {
  for (const folder of copied) cpSync(path(folder), path(`dist.new/${folder}`), { recursive: true })
  for (const name of ['relay', 'peer']) chmodSync(path(`dist.new/bin/${name}.js`), 0o755)
  rmSync(path('dist'), { recursive: true, force: true })
  renameSync(path('dist.new'), path('dist'))
}
process.exitCode = status ?? 1
