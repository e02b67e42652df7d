/** What a UDP socket is, whatever is below it. */
import { isIPv6 } from 'node:net'
import type { UdpErrors } from './errors.ts'
import { OptionError } from '../../errors.ts'
import { verifyBytes } from '../../options.ts'
import type { DatagramSocket } from '../../types.ts'

/** Bytes of the largest datagram: 65535 less the headers of UDP and IPv4, and of UDP alone, as that of IPv6 does not count (RFC 8200, section 3). */
export const MAX_DATAGRAM = { ipv4: 65_507, ipv6: 65_527 } as const

/** Bytes of the largest datagram of a socket with this local address. */
export const largestOf = (host: string): number => isIPv6(host) ? MAX_DATAGRAM.ipv6 : MAX_DATAGRAM.ipv4

/** Bytes, of what waits in either direction. */
export const DEFAULT_LIMIT = 1 << 20

/** Bytes of each buffer of the kernel: a sender at full speed needs that much while this process is busy. */
const DEFAULT_KERNEL_BUFFER = 7 << 20

/**
 * How a socket spares work. `batch`: many datagrams by one system call. `gso`, `gro`: Linux sends and receives many datagrams of one size
 * and one address as one (`UDP_SEGMENT`, `UDP_GRO`), so its network stack works once for all of them.
 */
export type UdpOffload = 'batch' | 'gso' | 'gro'

/** The most that a socket may use: all offloads, `batch` alone, or `node:dgram`, which has none. */
export type UdpIo = 'offload' | 'batch' | 'node'

/** Options of UDP sockets. */
export interface UdpInit {
  /** Bound in bytes of the datagrams that wait to be sent. Default: 1 MiB. */
  sendLimit?: number
  /** Bound in bytes of the datagrams that wait for the reader. Default: 1 MiB. */
  receiveLimit?: number
  /** Bytes of the buffers of the kernel, in each direction, where it allows them. Default: 7 MiB. */
  kernelBuffer?: number
  /** Where errors are counted: several sockets may share it. Default: an object of its own. */
  errors?: UdpErrors
  /**
   * False: no datagram goes in fragments, so that the size which the path takes can be found by trying. Each says "don't fragment", also in a
   * group, and the path MTU that the kernel has learned does not count. What is larger than the MTU of the interface is counted in
   * `errors.tooLarge`; what is larger than the path is lost, and counted there where a router tells. `node:dgram` has no such option: see
   * `fragments` of the socket. Default: true.
   */
  fragment?: boolean
  /** Datagrams may go to the broadcast address of a network; without it the system refuses them (`EACCES`). Of IPv4. Default: false. */
  broadcast?: boolean
  /** Default: `offload`. What is not there is left out; see `reduced` of the socket. */
  io?: UdpIo
}

/**
 * A socket for datagrams over UDP. `drained` of its port settles when the system has taken all: until then memory that was sent is in use.
 * Whatever the system says of a datagram is counted in `errors`, and ends nothing.
 */
export interface UdpSocket extends DatagramSocket {
  readonly errors: Readonly<UdpErrors>
  /** What is in use; empty for `node:dgram`. */
  readonly offloads: readonly UdpOffload[]
  /** Why that are not all; undefined where they are. */
  readonly reduced: string | undefined
  /** Whether what is larger than the way takes may go in fragments. */
  readonly fragments: boolean
  /** From now on what is larger than the way takes may go in fragments, or not: see the option `fragment`. Datagrams that wait are sent as those after them. Optional. */
  allowFragments? (isAllowed: boolean): void
  /** As of every socket. Where the kernel drops datagrams that came in a group, each group counts as one. */
  readonly dropped: number
}

/** Options with their defaults. */
export interface VerifiedUdpInit {
  sendLimit: number
  receiveLimit: number
  kernelBuffer: number
  errors: UdpErrors | undefined
  fragment: boolean
  broadcast: boolean
  io: UdpIo
}

/** @throws {OptionError} when an option is out of range */
export function verifyUdp ({ sendLimit = DEFAULT_LIMIT, receiveLimit = DEFAULT_LIMIT, kernelBuffer = DEFAULT_KERNEL_BUFFER, fragment = true, broadcast = false, io = 'offload', errors }: UdpInit): VerifiedUdpInit {
  for (const [name, value] of Object.entries({ sendLimit, receiveLimit, kernelBuffer })) verifyBytes(name, value)
  if (kernelBuffer > 1 << 30) throw new OptionError(`kernelBuffer is at most ${1 << 30} bytes, not ${kernelBuffer}`)
  if (typeof fragment !== 'boolean') throw new OptionError(`fragment is true or false, not ${String(fragment)}`)
  if (typeof broadcast !== 'boolean') throw new OptionError(`broadcast is true or false, not ${String(broadcast)}`)
  if (!['offload', 'batch', 'node'].includes(io)) throw new OptionError(`io is offload, batch or node, not ${String(io)}`)
  return { sendLimit, receiveLimit, kernelBuffer, fragment, broadcast, io, errors }
}
