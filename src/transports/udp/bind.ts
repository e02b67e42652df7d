/** Opens UDP sockets of the system: by the C library where that is possible, else by `node:dgram`. */
import { closeSync } from 'node:fs'
import { isIP } from 'node:net'
import { NativeUdpSocket } from './native/native-socket.ts'
import { nativeUdp, type NativeUdp, type OpenedSocket } from './native/native-udp.ts'
import { bindNodeSocket, connectNodeSocket } from './node-socket.ts'
import { verifyUdp, type UdpInit, type UdpSocket, type VerifiedUdpInit } from './socket.ts'
import { DialTimeoutError } from '../connecting.ts'
import { inTime, systemLookup, type Lookup } from '../happy-eyeballs.ts'
import { remoteEndpoint } from '../../net/native/socket-address.ts'
import { verifyPort } from '../../options.ts'
import { systemClock } from '../../streams/clock.ts'
import type { Address, Clock, Endpoint } from '../../types.ts'

/** Options of {@link bindUdp}: the local address, of which `::` means all with those of IPv4, and the port, 0 for a free one. */
export interface BindUdpInit extends UdpInit, Endpoint {}

/** Where the other end of a connected socket is. */
export interface UdpTarget extends Address {
  /** How a name is resolved; its first address counts. Default: that of the system. */
  lookup?: Lookup
  /** Milliseconds for the look-up. Default: that of the system. */
  timeout?: number
  /** Default: that of the system. */
  clock?: Clock
}

/**
 * Binds a socket.
 *
 * @throws {OptionError} when an option is out of range; else a system error (`EADDRINUSE`, `EACCES`, `ENOTFOUND`, ...)
 */
export async function bindUdp ({ host, port, ...init }: BindUdpInit): Promise<UdpSocket> {
  const verified = verifyUdp(init)
  verifyPort('a port', port)
  const at = { host: await addressOf({ host, port }), port }
  const native = await nativeOf(verified)
  if (typeof native === 'string') return await bindNodeSocket(at, verified, native)
  return socketOf(native, native.bind(at, verified), verified)
}

/**
 * A socket that sends to one address, and gets datagrams of it alone.
 *
 * @throws as `bindUdp`; what the look-up throws; {@link DialTimeoutError}; the reason of the signal
 */
export async function connectUdp (target: UdpTarget, init: UdpInit): Promise<{ socket: UdpSocket, remote: Endpoint }> {
  const verified = verifyUdp(init)
  verifyPort('a port', target.port, 1)
  const to = { host: await addressOf(target), port: target.port }
  const native = await nativeOf(verified)
  if (typeof native === 'string') return await connectNodeSocket(to, verified, native)
  const opened = native.connect(to, verified)
  return { socket: socketOf(native, opened, verified), remote: remoteEndpoint(native.libc, opened.fd) }
}

async function nativeOf ({ io }: VerifiedUdpInit): Promise<NativeUdp | string> {
  return io === 'node' ? 'node:dgram is asked for' : await nativeUdp()
}

function socketOf (native: NativeUdp, opened: OpenedSocket, init: VerifiedUdpInit): UdpSocket {
  try {
    return new NativeUdpSocket(native, opened, init)
  } catch (err) {
    closeSync(opened.fd)
    throw err
  }
}

async function addressOf ({ host, signal, lookup = systemLookup, timeout, clock = systemClock }: UdpTarget): Promise<string> {
  signal?.throwIfAborted()
  if (isIP(host) !== 0) return host
  const limit = timeout === undefined ? undefined : { milliseconds: timeout, error: () => new DialTimeoutError(`no address within ${timeout} ms`) }
  const [first] = await inTime(lookup(host), clock, signal, limit)
  if (first === undefined) throw Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' })
  return first.address
}
