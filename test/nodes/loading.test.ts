/** What importing a module loads: nodes nothing of the command line, programs nothing that a start may do without. */
import { execFileSync } from 'node:child_process'
import t from 'tap'

/** The packages that are loaded with a module of the build, by a hook that sees every import. */
function packagesOf (module: string): string[] {
  const script = `
    import { register } from 'node:module'
    import { MessageChannel } from 'node:worker_threads'
    const { port1, port2 } = new MessageChannel()
    const seen = new Set()
    port1.on('message', (url) => { seen.add(url) }).unref()
    const hook = 'let port; export async function initialize (data) { port = data.port }; export async function resolve (name, context, next) { const found = await next(name, context); port.postMessage(found.url); return found }'
    register('data:text/javascript,' + encodeURIComponent(hook), { data: { port: port2 }, transferList: [port2] })
    await import(${JSON.stringify(module)})
    await new Promise((resolve) => { setImmediate(resolve) })
    const { createRequire } = await import('node:module')
    const all = [...seen, ...Object.keys(createRequire(process.cwd() + '/').cache)]
    console.log(JSON.stringify([...new Set(all.flatMap((url) => /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1] ?? []))]))
    process.exit()`
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' }))
}

t.test('a node loads neither the parser of the command line nor that of files, nor a logger', async (t) => {
  for (const name of ['candy', 'gotunnel', 'natpass']) {
    const packages = packagesOf(new URL(`../../dist/src/nodes/${name}/index.js`, import.meta.url).href)
    t.ok(packages.includes('zod'), `${name}: what is loaded is seen`)
    for (const other of ['commander', 'yaml', 'pino', 'pino-pretty', 'prom-client']) t.notOk(packages.includes(other), `${name}: ${other}`)
  }
})

t.test('a program loads what formats its log, and what serves its metrics, only where they are used', async (t) => {
  const packages = packagesOf(new URL('../../dist/src/cli/relay-command.js', import.meta.url).href)
  t.ok(packages.includes('pino'))
  for (const other of ['pino-pretty', 'prom-client', 'ws']) t.notOk(packages.includes(other), other)
})
