/** Sockets that share a port. */
import { once } from 'node:events'
import { closeSync, readdirSync } from 'node:fs'
import { createServer, connect, type Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { bindShared, sharedBindProblem } from '../../../src/net/native/reuse-port.ts'
import { failureOf } from '../../helpers/ends.ts'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'
import { outputOf } from '../../helpers/programs/program.ts'

const host = '127.0.0.1'
const ipv6 = Object.values(networkInterfaces()).flat().some((found) => found?.address === '::1')
const reason = await sharedBindProblem()

/** Many more than it takes for each of a few sockets to have had one. */
const MANY = 500

const withoutKoffi = 'data:text/javascript,' + encodeURIComponent(`import { register } from 'node:module'
register('data:text/javascript,' + encodeURIComponent('export const resolve = (name, context, next) => { if (name === "koffi") throw new Error("none"); return next(name, context) }'))`)

const descriptors = (): number => readdirSync('/proc/self/fd').length

/** Servers that have taken the sockets over. */
async function listening (t: Test, fds: readonly number[]): Promise<Server[]> {
  return await Promise.all(fds.map(async (fd) => {
    const server = createServer((socket) => { socket.destroy() })
    t.teardown(() => { server.close() })
    server.listen({ fd })
    await once(server, 'listening')
    return server
  }))
}

async function visit (port: number, host: string): Promise<void> {
  const socket = connect(port, host)
  socket.on('error', () => {}) // a reset is an end
  await once(socket.resume(), 'close')
}

const shared = (name: string, options: object, test: (t: Test) => Promise<void>): void => { void t.test(name, { skip: reason ?? false, ...options }, test) }

shared('each of the sockets is given connections', {}, async (t) => {
  for (const at of ipv6 ? [host, '::1', 'localhost'] : [host, 'localhost']) {
    const place = await bindShared({ host: at, port: 0 }, 3)
    t.equal(place.descriptors.length, 3)
    t.ok(place.port > 0 && place.port < 65_536)
    const servers = await listening(t, place.descriptors)
    for (const server of servers) t.match(server.address(), { port: place.port })
    const counts = servers.map(() => 0)
    for (const [i, server] of servers.entries()) server.on('connection', () => { counts[i]++ })
    let visits = 0
    while (counts.includes(0) && visits < MANY) {
      await visit(place.port, at)
      visits++
    }
    t.notOk(counts.includes(0), `${at}: ${counts.join(', ')}`)
    t.equal(counts.reduce((a, b) => a + b, 0), visits, 'and each connection goes to one of them')
  }
})

shared('a port that is named', {}, async (t) => {
  const first = await bindShared({ host, port: 0 }, 1)
  for (const fd of first.descriptors) closeSync(fd)
  const { descriptors, port } = await bindShared({ host, port: first.port }, 2)
  t.equal(port, first.port)
  await listening(t, descriptors)
})

shared('a place that somebody else has is refused in the form that Node has for it, and nothing stays open', {}, async (t) => {
  const own = createServer().listen(0, host)
  await once(own, 'listening')
  t.teardown(() => { own.close() })
  const sharing = await bindShared({ host, port: 0 }, 1)
  await listening(t, sharing.descriptors)
  const open = descriptors()
  const shape = (err: any): object => ({ code: err.code, errno: err.errno, address: err.address, port: err.port, message: String(err.message).replace(`${String(err.syscall)} `, '') })
  const nodes = async (host: string, port: number): Promise<object> => {
    const server = createServer().listen(port, host)
    const [err] = await once(server, 'error')
    return shape(err)
  }
  const { port } = own.address() as { port: number }
  for (const [at, taken] of [[host, port], [host, sharing.port], ['203.0.113.1', 0], ['203.0.113.1', 1234]] as const) {
    const err = await failureOf(bindShared({ host: at, port: taken }, 3))
    t.same(shape(err), await nodes(at, taken), `${at} ${taken}`)
  }
  t.equal(descriptors(), open, 'descriptors')
  t.match(await failureOf(bindShared({ host: 'no such host', port: 0 }, 1)), { code: /^(ENOTFOUND|EAI_AGAIN)$/ })
  t.equal(descriptors(), open, 'descriptors')
})

t.test('without koffi it says so', { skip: process.platform === 'linux' ? false : 'sockets are shared on Linux only' }, async (t) => {
  const script = `console.log(await (await import(${JSON.stringify(fileURLToPath(new URL('../../../src/net/native/reuse-port.ts', import.meta.url)))})).sharedBindProblem())`
  const stdout = await outputOf(t, [...STRIP_TYPES, '--import', withoutKoffi, '--input-type=module', '-e', script])
  t.match(stdout, /^the optional package koffi is not installed: npm install koffi\n$/)
})
