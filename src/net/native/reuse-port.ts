/**
 * Several sockets that listen in the same place, among which the kernel deals out connections: one for each thread.
 *
 * Node has an option `reusePort` since version 23 only, and takes it for nothing before; so the sockets are made here, by the optional
 * package `koffi`, and `listen({ fd })` takes them. Linux only.
 */
import { lookup } from 'node:dns/promises'
import { closeSync } from 'node:fs'
import { endianness, networkInterfaces } from 'node:os'
import ipaddr from 'ipaddr.js'
import { errnoOf } from './errno.ts'
import { loadLibc, type Libc } from './libc.ts'
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET, SO_REUSEADDR, SO_REUSEPORT } from './socket-numbers.ts'
import type { Endpoint } from '../../types.ts'

/** Where both forms of `struct sockaddr` have the port, in network order. */
const PORT_AT = 2
/** Where that of IPv6 has the number of the interface, in the order of the machine. */
const SCOPE_AT = 24

const ONE = new Uint8Array(new Uint32Array([1]).buffer)

export interface SharedSockets {
  /** Sockets that do not listen yet; whoever takes one closes it. */
  descriptors: number[]
  /** The one in use. */
  port: number
}

/** Why that cannot be had here; undefined where it can. */
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
  // A port that is shared could be had although another process has it, which would then lose every other connection.
  if (port !== 0) closeSync(bind(libc, address, port, [SO_REUSEADDR]))
  const descriptors: number[] = []
  let at = port
  try {
    while (descriptors.length < count) {
      const fd = bind(libc, address, at, [SO_REUSEADDR, SO_REUSEPORT])
      descriptors.push(fd)
      at = portOf(libc, fd)
    }
    return { descriptors, port: at }
  } catch (err) {
    for (const fd of descriptors) closeSync(fd)
    throw err
  }
}

function bind (libc: Libc, host: string, port: number, options: readonly number[]): number {
  const address = socketAddress(host, port)
  const fail = (call: string): Error => systemError(libc.errno(), call, host, port)
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

/** A `struct sockaddr_in`, or a `struct sockaddr_in6`. */
function socketAddress (host: string, port: number): Uint8Array {
  const [plain, zone] = host.split('%')
  const address = ipaddr.parse(plain)
  const isIPv4 = address.kind() === 'ipv4'
  const bytes = Buffer.alloc(isIPv4 ? 16 : 28)
  const family = isIPv4 ? AF_INET : AF_INET6
  if (endianness() === 'LE') bytes.writeUInt16LE(family)
  else bytes.writeUInt16BE(family)
  bytes.writeUInt16BE(port, PORT_AT)
  bytes.set(address.toByteArray(), isIPv4 ? 4 : 8)
  if (zone !== undefined) new Uint32Array(bytes.buffer, bytes.byteOffset + SCOPE_AT, 1)[0] = scopeOf(zone)
  return bytes
}

/** The number of an interface that the zone of an address names, or is; 0 for none. */
function scopeOf (zone: string): number {
  const found = networkInterfaces()[zone]?.find(({ family }) => family === 'IPv6')
  return found?.family === 'IPv6' ? found.scopeid || Number(zone) || 0 : Number(zone) || 0
}

function portOf (libc: Libc, fd: number): number {
  const address = Buffer.alloc(28)
  const length = new Uint8Array(new Uint32Array([address.length]).buffer)
  if (libc.getsockname(fd, address, length) < 0) throw systemError(libc.errno(), 'getsockname', '', 0)
  return address.readUInt16BE(PORT_AT)
}

/** In the form that Node's own have. */
function systemError (errno: number, syscall: string, address: string, port: number): Error {
  const [code, text] = errnoOf(errno)
  const place = port === 0 ? { address } : { address, port }
  return Object.assign(new Error(`${syscall} ${code}: ${text} ${Object.values(place).join(':')}`), { errno: -errno, code, syscall, ...place })
}
