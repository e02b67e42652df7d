// Builds dist/ from nothing, so that no file of a removed module stays, and makes the two programs executable.
import { spawnSync } from 'node:child_process'
import { chmodSync, rmSync } from 'node:fs'

const root = new URL('..', import.meta.url)
rmSync(new URL('dist', root), { recursive: true, force: true })
const { status } = spawnSync('npx', ['--no-install', 'tsc', '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
if (status === 0) for (const name of ['relay', 'peer']) chmodSync(new URL(`dist/bin/${name}.js`, root), 0o755)
process.exitCode = status ?? 1
