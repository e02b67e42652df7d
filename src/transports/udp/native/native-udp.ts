/** UDP sockets through the C library, on Linux with the optional package koffi: what those of one thread share. */
import { closeSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { isMainThread } from 'node:worker_threads'
import { ErrorQueue } from './error-queue.ts'
import { isKnownLayout } from './message-array.ts'
import { MessageReader } from './message-reader.ts'
import { MessageWriter } from './message-writer.ts'
import type { UdpOffload, VerifiedUdpInit } from '../socket.ts'
import { loadLibc, type Libc } from '../../../net/native/libc.ts'
import { MemoryAddresses } from '../../../net/native/memory-addresses.ts'
import { loopPoller } from '../../../net/native/poller-loop.ts'
import { threadPoller } from '../../../net/native/poller-thread.ts'
import type { Poller } from '../../../net/native/poller.ts'
import { callError, socketAddress } from '../../../net/native/socket-address.ts'
import { AF_INET, AF_INET6, IP_MTU_DISCOVER, IP_RECVERR, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP, IPV6_MTU_DISCOVER, IPV6_RECVERR, IPV6_V6ONLY, PMTUDISC_PROBE, SO_BROADCAST, SO_RCVBUF, SO_RCVBUFFORCE, SO_SNDBUF, SO_SNDBUFFORCE, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOL_SOCKET, UDP_GRO, UDP_SEGMENT } from '../../../net/native/socket-numbers.ts'
import type { Endpoint } from '../../../types.ts'

/** Readers that are kept while no socket reads: each has a memory of 1 MiB. */
const SPARE_READERS = 4

export interface OpenedSocket {
  fd: number
  family: 'v4' | 'v6'
  offloads: readonly UdpOffload[]
  /** Why there are not all offloads. */
  reduced: string | undefined
  /** Whether datagrams may go in fragments. */
  fragments: boolean
}

/** `kernelBuffer`: as far as the kernel allows it. `io`: `node` is for others. */
export type NativeInit = Pick<VerifiedUdpInit, 'kernelBuffer' | 'fragment' | 'broadcast' | 'io'>

export class NativeUdp {
  readonly libc: Libc
  readonly poller: Poller
  readonly writer: MessageWriter
  readonly errorQueue: ErrorQueue
  readonly #addresses: MemoryAddresses
  readonly #readers: MessageReader[] = []

  constructor (libc: Libc) {
    this.libc = libc
    this.poller = loopPoller(libc) ?? threadPoller(libc)
    this.#addresses = new MemoryAddresses(libc)
    this.writer = new MessageWriter(libc, this.#addresses)
    this.errorQueue = new ErrorQueue(libc, this.#addresses)
  }

  /** A reader with its memory, until it is given back. */
  borrowReader (): MessageReader { return this.#readers.pop() ?? new MessageReader(this.libc, this.#addresses) }

  giveBack (reader: MessageReader): void {
    if (this.#readers.length < SPARE_READERS) this.#readers.push(reader)
  }

  /**
   * A socket that is bound.
   *
   * @param at an address, not a name
   * @throws a system error
   */
  bind (at: Endpoint, init: NativeInit): OpenedSocket { return this.#open('bind', at, init) }

  /**
   * A socket that is connected: it sends to one address, and gets datagrams of it alone.
   *
   * @throws a system error
   */
  connect (to: Endpoint, init: NativeInit): OpenedSocket { return this.#open('connect', to, init) }

  #open (call: 'bind' | 'connect', at: Endpoint, { kernelBuffer, fragment, broadcast, io }: NativeInit): OpenedSocket {
    const { libc } = this
    const isV6 = isIPv6(at.host)
    const fd = this.#socket(at)
    const set = (level: number, option: number, value: number): boolean => this.#set(fd, level, option, value)
    if (isV6) {
      set(IPPROTO_IPV6, IPV6_V6ONLY, 0)
      set(IPPROTO_IPV6, IPV6_RECVERR, 1)
    }
    set(IPPROTO_IP, IP_RECVERR, 1)
    if (broadcast) set(SOL_SOCKET, SO_BROADCAST, 1)
    for (const [forced, usual] of [[SO_RCVBUFFORCE, SO_RCVBUF], [SO_SNDBUFFORCE, SO_SNDBUF]]) {
      if (!set(SOL_SOCKET, forced, kernelBuffer)) set(SOL_SOCKET, usual, kernelBuffer) // as far as net.core.rmem_max and wmem_max allow
    }
    const isWhole = !fragment && this.discoverMtu(fd, isV6 ? 'v6' : 'v4', PMTUDISC_PROBE)
    const offloads: UdpOffload[] = ['batch']
    if (io !== 'batch') {
      if (set(IPPROTO_UDP, UDP_SEGMENT, 0)) offloads.push('gso') // no size for all: each message has its own
      if (set(IPPROTO_UDP, UDP_GRO, 1)) offloads.push('gro')
    }
    const address = socketAddress(at.host, at.port)
    if (libc[call](fd, address, address.length) < 0) throw this.#failed(fd, call, at)
    return { fd, family: isV6 ? 'v6' : 'v4', offloads, reduced: reducedBy(offloads, io), fragments: !isWhole }
  }

  /** How a socket finds the MTU of a path. One of IPv6 sends by IPv4 as well. False when the system does not take it. */
  discoverMtu (fd: number, family: OpenedSocket['family'], how: number): boolean {
    return this.#set(fd, IPPROTO_IP, IP_MTU_DISCOVER, how) && (family === 'v4' || this.#set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, how))
  }

  #set (fd: number, level: number, option: number, value: number): boolean {
    const bytes = new Uint8Array(new Int32Array([value]).buffer)
    return this.libc.setsockopt(fd, level, option, bytes, bytes.length) === 0
  }

  #socket (of: Endpoint): number {
    const fd = this.libc.socket(isIPv6(of.host) ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    if (fd < 0) throw callError(this.libc.errno(), 'socket', of)
    return fd
  }

  #failed (fd: number, call: string, at: Endpoint): Error {
    const err = callError(this.libc.errno(), call, at)
    closeSync(fd)
    return err
  }
}

function reducedBy (offloads: readonly UdpOffload[], io: NativeInit['io']): string | undefined {
  if (io === 'batch') return 'no offload is asked for'
  const missing = [['gso', 'UDP_SEGMENT'], ['gro', 'UDP_GRO']].filter(([offload]) => !offloads.includes(offload as UdpOffload)).map(([, name]) => name)
  return missing.length === 0 ? undefined : `the kernel has no ${missing.join(' and no ')}`
}

let loading: Promise<NativeUdp | string> | undefined

/** Loads it once; a text says why that is not possible. Never rejects. */
export function nativeUdp (): Promise<NativeUdp | string> {
  loading ??= load()
  return loading
}

async function load (): Promise<NativeUdp | string> {
  if (process.platform !== 'linux') return 'only Linux sends and reads many datagrams at once'
  // An event that waits when a worker is terminated would end the process, as koffi cannot call back then.
  if (!isMainThread) return 'worker threads have sockets of node:dgram alone'
  if (!isKnownLayout()) return `the calls of Linux are not known on ${process.arch}`
  try {
    return new NativeUdp(await loadLibc())
  } catch (err) {
    return (err as Error).message
  }
}
