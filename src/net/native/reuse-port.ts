/**
 * Several listening sockets on one address and port (`SO_REUSEPORT`), among which the kernel distributes connections: one for each thread.
 *
 * Node has the option `reusePort` since version 23 and ignores it before, so the sockets are made with the optional package `koffi` and
 * passed to `listen({ fd })`. Linux only.
 */
import { lookup } from 'node:dns/promises'
import { closeSync } from 'node:fs'
import { loadLibc, type Libc } from './libc.ts'
import { callError, localEndpoint, socketAddress } from './socket-address.ts'
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET, SO_REUSEADDR, SO_REUSEPORT } from './socket-numbers.ts'
import type { Endpoint } from '../../types.ts'

const ONE = new Uint8Array(new Uint32Array([1]).buffer)

export interface SharedSockets {
  /** Sockets that are bound and do not listen yet; the caller has to close them. */
  descriptors: number[]
  /** The port in use. */
  port: number
}

/** The reason why sockets cannot share a port on this system; undefined where they can. */
export async function sharedBindProblem (): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'only Linux deals out connections among sockets that share a port'
  return await loadLibc().then(() => undefined, () => 'the optional package koffi is not installed: npm install koffi')
}

/**
 * Binds sockets to an address and port.
 *
 * @param host a name or an address
 * @param port 0 takes a free one
 * @throws what the system says (`EADDRINUSE` also when another process shares its port), and `NativeError` without `koffi`
 */
export async function bindShared ({ host, port }: Endpoint, count: number): Promise<SharedSockets> {
  const libc = await loadLibc()
  const { address } = await lookup(host)
  // With SO_REUSEPORT the port of another process of the same user could be bound as well, which would then lose connections.
  if (port !== 0) closeSync(bind(libc, address, port, [SO_REUSEADDR]))
  const descriptors: number[] = []
  let at = port
  try {
    while (descriptors.length < count) {
      const fd = bind(libc, address, at, [SO_REUSEADDR, SO_REUSEPORT])
      descriptors.push(fd)
      at = localEndpoint(libc, fd).port
    }
    return { descriptors, port: at }
  } catch (err) {
    for (const fd of descriptors) closeSync(fd)
    throw err
  }
}

function bind (libc: Libc, host: string, port: number, options: readonly number[]): number {
  const address = socketAddress(host, port)
  const fail = (call: string): Error => callError(libc.errno(), call, { host, port })
  const fd = libc.socket(address.length === 16 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)
  if (fd < 0) throw fail('socket')
  let err: Error | undefined
  for (const option of options) {
    if (libc.setsockopt(fd, SOL_SOCKET, option, ONE, ONE.length) < 0) err ??= fail('setsockopt')
  }
  if (err === undefined && libc.bind(fd, address, address.length) < 0) err = fail('bind')
  if (err === undefined) return fd
  closeSync(fd)
  throw err
}
