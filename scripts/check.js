// Lint and types at once, as each of them keeps one processor busy.
import { spawn } from 'node:child_process'
import { once } from 'node:events'

const codes = await Promise.all(['lint', 'typecheck'].map(async (name) => {
  const [code] = await once(spawn('npm', ['run', name], { stdio: 'inherit' }), 'close')
  return code ?? 1
}))
process.exitCode = Math.max(...codes)
