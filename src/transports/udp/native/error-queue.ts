/** Errors of earlier datagrams, as ICMP and the system itself report them: `IP_RECVERR` of ip(7). */
import { MessageArray } from './message-array.ts'
import { countError, type UdpErrors } from '../errors.ts'
import { errnoOf } from '../../../net/native/errno.ts'
import type { Libc } from '../../../net/native/libc.ts'
import type { MemoryAddresses } from '../../../net/native/memory-addresses.ts'
import { IP_RECVERR, IPPROTO_IP, IPPROTO_IPV6, IPV6_RECVERR, MSG_DONTWAIT, MSG_ERRQUEUE } from '../../../net/native/socket-numbers.ts'

const MESSAGES = 16

/** Bytes of the control messages of each: `struct sock_extended_err`, and the address of who has told it. */
const CONTROL = 128

/** In `struct sock_extended_err` the first word is the error, and the first byte of the second one tells where it comes from. */
const ORIGIN = 1
/** `SO_EE_ORIGIN_LOCAL`: the call that has sent the datagram has failed with it as well. */
const LOCAL = 1

/** Calls of one turn: a flood of errors must not stop everything else. */
const MOST_CALLS = 16

export class ErrorQueue {
  readonly #libc: Libc
  readonly #array: MessageArray

  constructor (libc: Libc, addresses: MemoryAddresses) {
    this.#libc = libc
    // Without memory for the datagrams themselves, and for their addresses.
    this.#array = new MessageArray({ addresses, messages: MESSAGES, vectors: 0, controlSize: CONTROL })
  }

  /** Counts the errors that wait, and removes them. Returns whether there were any. */
  count (fd: number, errors: UdpErrors): boolean {
    let isTold = false
    for (let call = 0; call < MOST_CALLS; call++) {
      for (let i = 0; i < MESSAGES; i++) this.#array.setControlLength(i, CONTROL)
      const messages = this.#libc.recvmmsg(fd, this.#array.address, MESSAGES, MSG_DONTWAIT | MSG_ERRQUEUE, null)
      for (let i = 0; i < messages; i++) if (this.#count(i, errors)) isTold = true
      if (messages < MESSAGES) break
    }
    return isTold
  }

  #count (message: number, errors: UdpErrors): boolean {
    const { words } = this.#array
    const at = this.#array.findControl(message, IPPROTO_IP, IP_RECVERR) || this.#array.findControl(message, IPPROTO_IPV6, IPV6_RECVERR)
    if (at === 0 || (words[at + ORIGIN] & 0xff) === LOCAL) return false
    countError(errors, errnoOf(words[at])[0])
    return true
  }
}
