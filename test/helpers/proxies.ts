/** Programs that are proxies, with a configuration of the test's own: started for a test, and stopped with it. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePorts } from './free-ports.ts'
import { spawnGroup } from './programs/reaper.ts'

/** Debian has nginx where only root looks. */
const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` }

type Program = 'nginx' | 'haproxy'

const isThere = (program: Program): boolean => spawnSync(program, ['-v'], { env }).status === 0

/**
 * Why the tests that need a program are skipped, or `false` to run them. On a build machine a missing program is a failure, so
 * there they always run.
 */
export const skipWithout = (program: Program): string | false =>
  process.env.CI === 'true' || isThere(program) ? false : `no program ${program}`

/** What loads the stream module of nginx: nothing where it is built in, undefined where it is not there. */
function loadStream (): string | undefined {
  const built = spawnSync('nginx', ['-V'], { env }).stderr?.toString() ?? ''
  if (/ --with-stream(\s|$)/.test(built)) return ''
  const module = `${/--modules-path=(\S+)/.exec(built)?.[1]}/ngx_stream_module.so`
  return existsSync(module) ? `load_module ${module};` : undefined
}

/** The same for the stream module of nginx, which is a package of its own. */
export const skipWithoutStream: string | false = process.env.CI === 'true' || loadStream() !== undefined ? false : 'no stream module of nginx (libnginx-mod-stream)'

async function listens (port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Runs a program until the test is over; resolves when it listens on `port`, which is a port for just that. */
async function run (t: Test, program: Program, args: string[], port: number): Promise<void> {
  const child = spawnGroup(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr?.on('data', (text) => { said += String(text) })
  let isOver = false
  const over = new Promise<void>((resolve) => {
    child.once('close', () => {
      isOver = true
      resolve()
    })
  })
  t.teardown(async () => {
    child.kill('SIGTERM')
    await over
  })
  while (!await listens(port)) if (isOver) throw new Error(`${program} does not start: ${said}`)
}

function folder (t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'tunpipe-proxy-'))
  t.teardown(() => { rmSync(path, { recursive: true, force: true }) })
  return path
}

/** Where a proxy leads, and settings of its own for the way there. */
export interface Route {
  upstream: number
  settings?: string
}

/** HAProxy with one port for each route; `settings` are those of the server, `options` lines of the section. */
export async function startHaproxy (t: Test, routes: Array<Route & { mode: 'tcp' | 'http', options?: string }>): Promise<number[]> {
  const [ready, ...ports] = await freePorts(1 + routes.length)
  const file = join(folder(t), 'haproxy.cfg')
  writeFileSync(file, [
    'global', '  maxconn 256',
    'defaults', '  timeout connect 10s', '  timeout client 60s', '  timeout server 60s', '  timeout tunnel 60s',
    ...routes.flatMap(({ mode, upstream, options = '', settings = '' }, i) => [
      `listen route${i}`, `  mode ${mode}`, `  bind 127.0.0.1:${ports[i]}`, `  ${options}`, `  server upstream 127.0.0.1:${upstream} source 127.0.0.1 ${settings}`
    ]),
    'frontend ready', '  mode http', `  bind 127.0.0.1:${ready}`, ''
  ].join('\n'))
  await run(t, 'haproxy', ['-db', '-f', file], ready)
  return ports
}

/** nginx with one port for each route; `settings` are directives of the location, or, with `isStream`, of the server. */
export async function startNginx (t: Test, routes: Array<Route & { isStream?: boolean, scheme?: 'http' | 'https' }>): Promise<number[]> {
  const [ready, ...ports] = await freePorts(1 + routes.length)
  const path = folder(t)
  const servers = routes.map(({ upstream, settings = '', isStream = false, scheme = 'http' }, i) => isStream
    ? `server { listen 127.0.0.1:${ports[i]}; proxy_pass 127.0.0.1:${upstream}; proxy_bind 127.0.0.1; ${settings} }`
    : `server { listen 127.0.0.1:${ports[i]}; location / {
        proxy_pass ${scheme}://127.0.0.1:${upstream}; proxy_bind 127.0.0.1; proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; ${settings}
      } }`)
  const those = (isStream: boolean): string => servers.filter((_, i) => (routes[i].isStream ?? false) === isStream).join('\n')
  const file = join(path, 'nginx.conf')
  writeFileSync(file, `
    ${routes.some(({ isStream }) => isStream) ? loadStream() : ''}
    daemon off; master_process off; pid ${path}/pid; error_log stderr;
    events { worker_connections 256; }
    http {
      access_log off;
      ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${path}/${name};`).join(' ')}
      ${those(false)}
      server { listen 127.0.0.1:${ready}; return 204; }
    }
    ${routes.some(({ isStream }) => isStream) ? `stream { ${those(true)} }` : ''}
  `)
  await run(t, 'nginx', ['-p', path, '-c', file], ready)
  return ports
}
