// Builds dist/ after `npm ci` in a checkout. A production install has no compiler and gets dist/ from the package.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const root = new URL('..', import.meta.url)
if (existsSync(new URL('node_modules/typescript/package.json', root))) {
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
  process.exitCode = status ?? 1
}
