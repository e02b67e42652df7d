/** A socket of rtnetlink(7) that asks the kernel, so that no `ip` program is needed. */
import { constants } from 'node:os'
import { TunError } from './device.ts'
import { systemError, withSocket } from './ifreq.ts'
import type { Libc } from '../net/native/libc.ts'
import { AF_NETLINK, SOCK_NONBLOCK, SOCK_RAW, SOL_NETLINK } from '../net/native/socket-numbers.ts'

const NETLINK_GET_STRICT_CHK = 12

/** More than the kernel puts into one read, 32 KiB. */
export const READ_BYTES = 64 * 1024

const { EINTR } = constants.errno

const ONE = new Uint8Array(Int32Array.of(1).buffer)

/** What a read has brought: things that were asked for, and at last how the request ended, as an errno or 0. */
type Decode<T> = (bytes: Uint8Array, sequence: number) => Array<T | { errno: number }>

/** Requests of one socket, one after the other. The kernel answers before `write` returns, so nothing ever waits. */
export class NetlinkSocket {
  readonly #libc: Libc
  readonly #fd: number
  /** Of the interface that this is about, for errors. */
  readonly #name: string
  readonly #into = new Uint8Array(READ_BYTES)
  #sequence = 0

  constructor (libc: Libc, fd: number, name: string) {
    this.#libc = libc
    this.#fd = fd
    this.#name = name
    // Then it lists only what it is asked for. Kernels before 4.20 do not know this.
    libc.setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, ONE, ONE.length)
  }

  /** Puts a request, and calls `each` with what the kernel has. Returns the errno of a refusal, or 0. */
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
