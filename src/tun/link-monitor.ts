/**
 * Notifications of the kernel by rtnetlink(7): state, an address or a route of an interface has changed, or other interfaces have got new
 * ones.
 */
import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { systemError } from './ifreq.ts'
import type { Libc } from '../net/native/libc.ts'
import { READ_BYTES } from './netlink-socket.ts'
import { attributesIn, AT_TYPE, HEADER, LITTLE, messagesIn } from './netlink.ts'
import type { Poller, PollHandle } from '../net/native/poller.ts'
import { AT_INDEX, RTA_OIF, RTM_DELADDR, RTM_DELLINK, RTM_DELROUTE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE, RTMSG } from './rtnetlink-lists.ts'
import { AF_NETLINK, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from '../net/native/socket-numbers.ts'

const RTMGRP_LINK = 0x1
const RTMGRP_IPV4_IFADDR = 0x10
const RTMGRP_IPV4_ROUTE = 0x40

/** Multicast groups: the state and removal of interfaces. */
export const LINKS = RTMGRP_LINK
/** Multicast groups: those, addresses and routes. */
export const LINKS_ADDRESSES_ROUTES = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE

/** struct sockaddr_nl: family (2 bytes), padding (2), port (4; 0: the kernel chooses), groups (4). */
const SOCKADDR = 12

/** Maximum reads per turn: a router has many notifications about other interfaces. */
const READS = 32

const { EAGAIN, EINTR, ENOBUFS } = constants.errno

const WITH_INDEX = [RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR]
const OF_ROUTES = [RTM_NEWROUTE, RTM_DELROUTE]
/** Notifications that add something. */
const GAINS = [RTM_NEWADDR, RTM_NEWROUTE]

/** The interfaces that notifications are about. */
export interface Concern {
  /** The watched interface. */
  own: boolean
  /** Other interfaces with a new address or route. */
  others: boolean
}

const BOTH: Concern = { own: true, others: true }

/** Classifies notifications. One of an unknown form may be about anything: the check that follows finds out. */
export function concernOf (bytes: Uint8Array, device: number): Concern {
  const concern = { own: false, others: false }
  for (const message of messagesIn(bytes)) {
    const type = message.getUint16(AT_TYPE, LITTLE)
    const isRoute = OF_ROUTES.includes(type)
    if (!isRoute && !WITH_INDEX.includes(type)) continue
    if (message.byteLength < (isRoute ? HEADER + RTMSG : AT_INDEX + 4)) return BOTH
    const isOwn = isRoute ? leadsThrough(message, device) : message.getUint32(AT_INDEX, LITTLE) === device
    if (isOwn) concern.own = true
    else if (GAINS.includes(type)) concern.others = true
  }
  return concern
}

function leadsThrough (message: DataView, device: number): boolean {
  for (const [kind, value] of attributesIn(message, HEADER + RTMSG)) {
    if (kind === RTA_OIF && value.byteLength >= 4 && value.getUint32(0, LITTLE) === device) return true
  }
  return false
}

export interface LinkMonitorInit {
  /** Multicast groups of notifications. */
  groups: number
  /** The interface has changed, or may have. */
  onChange (): void
  /** Another interface has a new address or route, or may have. */
  onOthers? (): void
  onFailure (err: Error): void
}

/** Reports changes of interfaces, until closed. */
export class LinkMonitor {
  readonly #libc: Libc
  readonly #fd: number
  readonly #device: number
  readonly #init: LinkMonitorInit
  readonly #pollHandle: PollHandle
  readonly #into = new Uint8Array(READ_BYTES)

  /** @throws {TunError} when a system call fails */
  constructor (libc: Libc, poller: Poller, device: number, init: LinkMonitorInit) {
    this.#libc = libc
    this.#device = device
    this.#init = init
    this.#fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if (this.#fd < 0) throw systemError('socket', 'rtnetlink', libc.errno())
    const address = new DataView(new ArrayBuffer(SOCKADDR))
    address.setUint16(0, AF_NETLINK, LITTLE)
    address.setUint32(8, init.groups, LITTLE)
    try {
      if (libc.bind(this.#fd, new Uint8Array(address.buffer), SOCKADDR) < 0) throw systemError('bind', 'rtnetlink', libc.errno())
      this.#pollHandle = poller.watch(this.#fd, (err) => {
        if (err === undefined) this.#read()
        else init.onFailure(err)
      })
    } catch (err) {
      closeSync(this.#fd)
      throw err
    }
    this.#pollHandle.start()
  }

  async close (): Promise<void> {
    await this.#pollHandle.close()
    closeSync(this.#fd)
  }

  #read (): void {
    let { own, others }: Concern = { own: false, others: false }
    for (let reads = 0; reads < READS; reads++) {
      const length = this.#libc.read(this.#fd, this.#into, this.#into.length)
      if (length > 0) {
        const concern = this.#concernOf(this.#into.subarray(0, length))
        own ||= concern.own
        others ||= concern.others
        continue
      }
      const errno = length < 0 ? this.#libc.errno() : EAGAIN
      if (errno === EINTR) continue
      if (errno === ENOBUFS) own = others = true // the socket has lost notifications: any of them may have been about this interface
      else if (errno !== EAGAIN) {
        this.#pollHandle.stop()
        this.#init.onFailure(systemError('read', 'rtnetlink', errno))
      }
      if (errno !== ENOBUFS) break
    }
    if (own) this.#init.onChange()
    if (others) this.#init.onOthers?.()
  }

  #concernOf (bytes: Uint8Array): Concern {
    try {
      return concernOf(bytes, this.#device)
    } catch {
      return BOTH // malformed: the state of the interface is read in another way
    }
  }
}
