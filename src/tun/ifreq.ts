/** Reads and sets properties of a Linux interface by the ioctls of netdevice(7), without the `ip` program. */
import { closeSync } from 'node:fs'
import { constants, endianness } from 'node:os'
import { errnoText } from '../net/native/errno.ts'
import { TunError } from './device.ts'
import { type Cidr, writeU32 } from '../net/ipv4.ts'
import type { Libc } from '../net/native/libc.ts'
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM } from '../net/native/socket-numbers.ts'

/** Maximum bytes of a name, without the terminating zero: IFNAMSIZ - 1. */
export const MAX_NAME_LENGTH = 15

/** Folders beside those of interfaces in /proc/sys/net/ipv4/conf: the kernel rejects interfaces of these names. */
export const RESERVED_NAMES: readonly string[] = ['all', 'default']

// struct ifreq: a name of 16 bytes, then a union of 24 (16 where pointers have 32 bits)
const NAME_SIZE = 16
const IFREQ_SIZE = 40

const SIOCGIFFLAGS = 0x8913
const SIOCSIFFLAGS = 0x8914
const SIOCSIFADDR = 0x8916
const SIOCSIFNETMASK = 0x891c
const SIOCSIFMTU = 0x8922
const SIOCGIFINDEX = 0x8933
const SIOCGIFNAME = 0x8910
const IFF_UP = 0x1
const IFF_RUNNING = 0x40

const LITTLE = endianness() === 'LE'
const { EACCES, EBUSY, ENODEV, EPERM } = constants.errno

/** One `struct ifreq`. */
export class InterfaceRequest {
  readonly bytes = new Uint8Array(IFREQ_SIZE)
  readonly #view = new DataView(this.bytes.buffer)

  constructor (name: string) {
    this.bytes.set(Buffer.from(name, 'latin1').subarray(0, MAX_NAME_LENGTH))
  }

  get name (): string {
    return Buffer.from(this.bytes.buffer).toString('latin1', 0, this.bytes.indexOf(0))
  }

  get short (): number { return this.#view.getUint16(NAME_SIZE, LITTLE) }
  set short (value: number) { this.#view.setUint16(NAME_SIZE, value, LITTLE) }

  get int (): number { return this.#view.getInt32(NAME_SIZE, LITTLE) }
  set int (value: number) { this.#view.setInt32(NAME_SIZE, value, LITTLE) }

  /** Writes a `struct sockaddr_in`: family, port, address in network order. */
  setAddress (value: number): void {
    this.bytes.fill(0, NAME_SIZE)
    this.short = AF_INET
    writeU32(this.bytes, NAME_SIZE + 4, value)
  }
}

/** The error of a call that has failed with `errno`. */
export function systemError (call: string, name: string, errno: number): TunError {
  if (errno === EPERM || errno === EACCES) return new TunError('ERR_TUN_PERMISSION', `${call} ${name}: no permission; run with sudo or give the program CAP_NET_ADMIN`)
  if (errno === ENODEV) return new TunError('ERR_TUN_GONE', `${call} ${name}: the interface was removed`)
  if (call === 'TUNSETIFF' && errno === EBUSY) return new TunError('ERR_TUN_NAME_TAKEN', `an interface ${name} exists already`)
  return new TunError('ERR_TUN_SYSTEM', `${call} ${name}: ${errnoText(errno)}`)
}

/** Whether there is an interface of this name. */
export const exists = (libc: Libc, name: string): boolean =>
  withSocket(libc, name, (fd) => libc.ioctl(fd, SIOCGIFINDEX, new InterfaceRequest(name).bytes) >= 0)

/**
 * Calls ioctl on a descriptor.
 *
 * @throws {TunError} when it fails
 */
export function control (libc: Libc, fd: number, call: string, request: number, ifreq: InterfaceRequest): void {
  if (libc.ioctl(fd, request, ifreq.bytes) < 0) throw systemError(call, ifreq.name, libc.errno())
}

/** Runs `use` with a socket, by default one for such requests. */
export function withSocket<R> (libc: Libc, name: string, use: (fd: number) => R, domain = AF_INET, type = SOCK_DGRAM): R {
  const fd = libc.socket(domain, type | SOCK_CLOEXEC, 0)
  if (fd < 0) throw systemError('socket', name, libc.errno())
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}

/** The index of an interface. */
export function indexOf (libc: Libc, name: string): number {
  return withSocket(libc, name, (fd) => {
    const ifreq = new InterfaceRequest(name)
    control(libc, fd, 'SIOCGIFINDEX', SIOCGIFINDEX, ifreq)
    return ifreq.int
  })
}

/** The name of an interface; undefined when the index is not in use any more. */
export function nameOfIndex (libc: Libc, index: number): string | undefined {
  return withSocket(libc, '', (fd) => {
    const ifreq = new InterfaceRequest('')
    ifreq.int = index
    return libc.ioctl(fd, SIOCGIFNAME, ifreq.bytes) < 0 ? undefined : ifreq.name
  })
}

/** Whether an interface is set up (IFF_UP). */
export function isUp (libc: Libc, name: string): boolean {
  return withSocket(libc, name, (fd) => {
    const ifreq = new InterfaceRequest(name)
    control(libc, fd, 'SIOCGIFFLAGS', SIOCGIFFLAGS, ifreq)
    return (ifreq.short & IFF_UP) !== 0
  })
}

/** Removes the address; the kernel removes all routes with it. */
export function clearAddress (libc: Libc, name: string): void {
  withSocket(libc, name, (fd) => {
    const ifreq = new InterfaceRequest(name)
    ifreq.setAddress(0)
    control(libc, fd, 'SIOCSIFADDR', SIOCSIFADDR, ifreq)
  })
}

export function setMtu (libc: Libc, name: string, mtu: number): void {
  withSocket(libc, name, (fd) => {
    const ifreq = new InterfaceRequest(name)
    ifreq.int = mtu
    control(libc, fd, 'SIOCSIFMTU', SIOCSIFMTU, ifreq)
  })
}

/** Replaces the address, then brings the interface up. The kernel adds the route to the network and removes the former one. */
export function setAddress (libc: Libc, name: string, { address, mask }: Cidr): void {
  withSocket(libc, name, (fd) => {
    const ifreq = new InterfaceRequest(name)
    ifreq.setAddress(address)
    control(libc, fd, 'SIOCSIFADDR', SIOCSIFADDR, ifreq)
    ifreq.setAddress(mask)
    control(libc, fd, 'SIOCSIFNETMASK', SIOCSIFNETMASK, ifreq)
    control(libc, fd, 'SIOCGIFFLAGS', SIOCGIFFLAGS, ifreq)
    ifreq.short |= IFF_UP | IFF_RUNNING
    control(libc, fd, 'SIOCSIFFLAGS', SIOCSIFFLAGS, ifreq)
  })
}
