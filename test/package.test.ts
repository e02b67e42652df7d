/** The package as its users get it: packed, installed for production, started. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { executable } from './helpers/programs/executables.ts'
import { homeEnv } from './helpers/programs/homes.ts'
import { spawnGroup } from './helpers/programs/reaper.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** What npm prints when it is the network that fails, not the package. */
const NO_NETWORK = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED)\b/

/** Without what `npm test` and the test runner tell their children: none of it is there for a user. */
const env = { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_(package|lifecycle|config_local_prefix)|NODE_OPTIONS|_TAPJS|TAP|TUNPIPE_)/.test(name))), ...homeEnv() }

/** A folder far from the checkout, so that nothing is found in the checkout's `node_modules` by accident. */
function folder (t: Test, name: string): string {
  const path = mkdtempSync(join(tmpdir(), `tunpipe-${name}-`))
  t.teardown(() => { rmSync(path, { recursive: true, force: true }) })
  return path
}

interface Packed {
  filename: string
  files: Array<{ path: string, mode: number }>
}

/** Packs a copy of the checkout, as other tests may be using its `dist` meanwhile. That is copied last: `prepare` builds only where it is old. */
async function pack (t: Test): Promise<Packed> {
  executable('relay') // throws when `dist` is not that of the sources
  const copy = folder(t, 'pack')
  for (const name of ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'README.md', 'LICENSE', 'src', 'bin', 'proto', 'scripts', 'test', 'examples', 'dist']) {
    cpSync(join(root, name), join(copy, name), { recursive: true, filter: (path) => !path.includes('tap-testdir') })
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  const { stdout } = await run('npm', ['pack', '--json'], { cwd: copy, env })
  const [packed]: Packed[] = JSON.parse(stdout)
  return { ...packed, filename: join(copy, packed.filename) }
}

const NPM_INSTALL = ['install', '--omit=dev', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--fetch-retries=1', '--fetch-retry-mintimeout=1000']

/** Installs for production. */
async function install (into: string, tarball: string, ...options: string[]): Promise<void> {
  writeFileSync(join(into, 'package.json'), '{ "private": true, "type": "module" }\n')
  await run('npm', [...NPM_INSTALL, ...options, tarball], { cwd: into, env })
}

/** Starts an installed program, and waits for a line on its stdout. */
async function start (t: Test, into: string, name: string, args: string[], line: RegExp) {
  const program = join(into, 'node_modules/.bin', name)
  const child = spawnGroup(program, args, { cwd: into, env: { ...env, ...homeEnv() }, stdio: ['ignore', 'pipe', 'pipe'] })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    process.stderr.write(text)
  })
  t.teardown(() => { child.kill('SIGKILL') })
  const ended = once(child, 'close')
  for await (const text of createInterface(child.stdout as Readable)) {
    const match = line.exec(text)
    if (match === null) continue
    return {
      match,
      stderr: () => stderr,
      async stop (): Promise<number> {
        child.kill('SIGTERM')
        const [code] = await ended
        return code
      }
    }
  }
  throw new Error(`${name} ended without ${line.source}`)
}

/** Gives what the relay has said on stderr. */
async function joins (t: Test, into: string, ...more: string[]): Promise<string> {
  const relay = await start(t, into, 'relay', ['candy', '--listen', 'ws://127.0.0.1:0', '--password', 'secret', '--dhcp', '10.77.0.0/24', '--log-level', 'warn', ...more], /^ready candy (ws:.*)$/)
  const peer = await start(t, into, 'peer', ['candy', '--url', `${relay.match[1]}/`, '--password', 'secret', '--tun', 'none', '--log-level', 'error'], /^ready candy tun:\/\/none\/10\.77\.0\.1\/24$/)
  t.same([await peer.stop(), await relay.stop()], [0, 0], 'relay and peer meet, and end cleanly')
  return relay.stderr()
}

/** Programs in TypeScript that know the package by its name only. */
async function compiles (t: Test, into: string): Promise<void> {
  mkdirSync(join(into, 'src'))
  cpSync(join(root, 'examples/quick-start.ts'), join(into, 'src/quick-start.ts'))
  cpSync(join(root, 'examples/echo-tunnel.ts'), join(into, 'src/echo-tunnel.ts'))
  writeFileSync(join(into, 'tsconfig.json'), JSON.stringify({
    compilerOptions: { strict: true, module: 'nodenext', target: 'es2022', types: ['node'], typeRoots: [join(root, 'node_modules/@types')], rootDir: 'src', outDir: 'out' },
    include: ['src']
  }))
  const tsc = run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', into], { env })
  t.equal(await tsc.then(() => 'compiles', (err) => err.stdout), 'compiles', 'declarations are complete')
  const { stdout } = await run(process.execPath, [join(into, 'out/quick-start.js')], { cwd: into, env })
  t.match(stdout, / pings 10\.77\.0\.2\/24: /)
}

t.setTimeout(300_000)

t.test('the package', { timeout: 290_000 }, async (t) => {
  const { filename, files } = await pack(t)

  await t.test('what is in the package', async (t) => {
    const paths = files.map(({ path }) => path)
    for (const path of ['README.md', 'LICENSE', 'package.json', 'dist/src/index.js', 'dist/src/index.d.ts', 'src/index.ts']) t.ok(paths.includes(path), path)
    const strangers = paths.filter((path) => !/^(dist|src|bin)\/|^(README\.md|LICENSE|package\.json)$/.test(path) || /\btests?\b|\.test\./.test(path))
    t.same(strangers, [], 'nothing else, and no tests')
    for (const path of Object.values<string>(manifest.bin)) t.equal((files.find((file) => file.path === path)?.mode ?? 0) & 0o111, 0o111, `${path} can be executed`)
  })

  const full = folder(t, 'full')
  const noNetwork = await install(full, filename).then(() => false, (err) => {
    if (process.env.CI === 'true' || !NO_NETWORK.test(err.stderr)) throw err
    return 'no network to install the dependencies from'
  })

  await t.test('installed', { skip: noNetwork }, async (t) => {
    const modules = join(full, 'node_modules')
    t.ok(existsSync(join(modules, 'koffi/package.json')), 'optional packages are there')
    for (const name of ['eslint', 'tap', 'tsx', 'typescript']) t.notOk(existsSync(join(modules, name)), `no ${name}`)
    for (const name of Object.keys(manifest.bin)) t.equal(statSync(join(modules, '.bin', name)).mode & 0o111, 0o111, `${name} can be executed`)
    for (const [door, target] of Object.entries<{ types?: string }>(manifest.exports)) {
      if (target.types === undefined) continue // package.json
      const name = door.replace('.', 'tunpipe')
      t.ok(existsSync(join(modules, 'tunpipe', target.types)), `${name} has types`)
      const { stdout } = await run(process.execPath, ['--input-type=module', '-e', `console.log(Object.keys(await import('${name}')).length)`], { cwd: full, env })
      t.ok(Number(stdout) > 0, `${name} can be imported`)
    }
    await joins(t, full)
    t.equal(await joins(t, full, '--workers', '2'), '', 'also with several threads')
    await compiles(t, full)
  })

  await t.test('installed without optional packages', { skip: noNetwork }, async (t) => {
    const bare = folder(t, 'bare')
    await install(bare, filename, '--omit=optional')
    for (const name of Object.keys(manifest.optionalDependencies)) t.notOk(existsSync(join(bare, 'node_modules', name)), `no ${name}`)
    t.match(await joins(t, bare, '--workers', '2'), /^[^\n]*"level":40[^\n]*koffi[^\n]*"msg":"one worker only"[^\n]*\n$/, 'one thread, and one warning')
    const peer = run(join(bare, 'node_modules/.bin/peer'), ['candy', '--url', 'ws://127.0.0.1:1/', '--password', 'secret', '--name', 'x', '--state-dir', bare], { cwd: bare, env })
    const err = await peer.then(() => undefined, (err) => err)
    t.equal(err?.code, 1)
    t.match(err?.stderr, /^peer: .*koffi.*\n$/, 'an interface of the system takes koffi, and it says so in one line')
  })
})
