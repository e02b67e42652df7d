/** What is said where optional packages are not installed. */
import { execFileSync } from 'node:child_process'
import t from 'tap'

/** The code of the error of an expression, in a process of the build where some packages cannot be found. */
function codeOf (expression: string, ...missing: string[]): string {
  const script = `
    import Module, { register } from 'node:module'
    const missing = ${JSON.stringify(missing)}
    const isMissing = (name) => missing.some((one) => name === one || name.startsWith(one + '/'))
    const resolve = Module._resolveFilename
    Module._resolveFilename = (name, ...rest) => {
      if (isMissing(name)) throw Object.assign(new Error('not there'), { code: 'MODULE_NOT_FOUND' })
      return resolve.call(Module, name, ...rest)
    }
    register('data:text/javascript,' + encodeURIComponent('export const resolve = (name, context, next) => { if (' + JSON.stringify(missing) + '.includes(name)) throw new Error("none"); return next(name, context) }'))
    const { startShell } = await import(${JSON.stringify(built('shell/shell.js'))})
    const { openDisplay } = await import(${JSON.stringify(built('desktop/worker/display.js'))})
    const { serveShellPage } = await import(${JSON.stringify(built('page/page-server.js'))})
    try {
      await ${expression}
      console.log('none')
    } catch ({ code }) {
      console.log(code)
    }
    process.exit()`
  return execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' }).trim()
}

const built = (file: string): string => new URL(`../../../../dist/src/nodes/natpass/peer/${file}`, import.meta.url).href

t.test('errors', async (t) => {
  const page = "serveShellPage({ host: '127.0.0.1', port: 0, name: 'x' })"
  t.equal(codeOf('startShell()', '@lydell/node-pty'), 'ERR_SHELL_PTY')
  t.equal(codeOf('startShell()', `@lydell/node-pty-${process.platform}-${process.arch}`), 'ERR_SHELL_PTY', 'installed for another system')
  t.equal(codeOf('startShell()', 'koffi'), 'ERR_NATIVE_KOFFI')
  t.equal(codeOf(page, '@xterm/xterm'), 'ERR_PAGE_XTERM')
  t.equal(codeOf(page, '@xterm/addon-fit'), 'ERR_PAGE_XTERM')
  t.equal(codeOf("openDisplay({ DISPLAY: ':59535' })", 'x11'), 'ERR_DISPLAY_X11')
  t.equal(codeOf("openDisplay({ DISPLAY: ':59535' })", 'koffi'), 'ERR_DISPLAY_NONE', 'a desktop needs no koffi')
  t.equal(codeOf(page, '@lydell/node-pty', 'koffi'), 'none', 'a page needs no terminal here')
})
