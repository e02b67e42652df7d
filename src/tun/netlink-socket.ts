/** A socket for requests of rtnetlink(7), which replaces the `ip` program. */
import { constants } from 'node:os'
import { TunError } from './device.ts'
import { systemError, withSocket } from './ifreq.ts'
import type { Libc } from '../net/native/libc.ts'
import { AF_NETLINK, SOCK_NONBLOCK, SOCK_RAW, SOL_NETLINK } from '../net/native/socket-numbers.ts'

const NETLINK_GET_STRICT_CHK = 12

/** More than the maximum of one read, 32 KiB. */
export const READ_BYTES = 64 * 1024

const { EINTR } = constants.errno

const ONE = new Uint8Array(Int32Array.of(1).buffer)

/** The items of one read, and last the result of the request as an errno or 0. */
type Decode<T> = (bytes: Uint8Array, sequence: number) => Array<T | { errno: number }>

/** Requests on one socket, one after the other. The kernel answers before `write` returns, so reads do not block. */
export class NetlinkSocket {
  readonly #libc: Libc
  readonly #fd: number
  /** Name of the interface, for errors. */
  readonly #name: string
  readonly #into = new Uint8Array(READ_BYTES)
  #sequence = 0

  constructor (libc: Libc, fd: number, name: string) {
    this.#libc = libc
    this.#fd = fd
    this.#name = name
    // Strict: lists only what is requested. Ignored by kernels before 4.20.
    libc.setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, ONE, ONE.length)
  }

  /** Sends a request, and calls `each` with each item. Returns the errno of a rejection, or 0. */
  ask<T extends object> (encode: (sequence: number) => Uint8Array, decode: Decode<T>, each: (item: T) => void): number {
    const sequence = ++this.#sequence
    const message = encode(sequence)
    if (this.#libc.write(this.#fd, message, message.length) < 0) throw this.error(this.#libc.errno())
    for (;;) {
      for (const answer of decode(this.#read(), sequence)) {
        if ('errno' in answer) return answer.errno
        each(answer)
      }
    }
  }

  #read (): Uint8Array {
    for (;;) {
      const length = this.#libc.read(this.#fd, this.#into, this.#into.length)
      if (length > 0) return this.#into.subarray(0, length)
      if (length === 0) throw new TunError('ERR_TUN_SYSTEM', `rtnetlink ${this.#name}: no answer`)
      const errno = this.#libc.errno()
      if (errno !== EINTR) throw this.error(errno)
    }
  }

  error (errno: number): TunError { return systemError('rtnetlink', this.#name, errno) }
}

/** Runs `use` with such a socket. */
export const withNetlink = <R> (libc: Libc, name: string, use: (socket: NetlinkSocket) => R): R =>
  withSocket(libc, name, (fd) => use(new NetlinkSocket(libc, fd, name)), AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK)
