// Builds dist/ after `npm ci` in a checkout. A production install has no compiler and gets dist/ from the package.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('..', import.meta.url)
if (existsSync(new URL('node_modules/typescript/package.json', root))) {
  const { status } = spawnSync(process.execPath, [fileURLToPath(new URL('build.js', import.meta.url))], { cwd: root, stdio: 'inherit' })
  process.exitCode = status ?? 1
}
