/**
 * Network interfaces as links of packets: {@link openTun} makes one of the system, {@link hostTun} one that lives in this
 * process and needs no privileges. Beside them, IPv4 addresses and headers as plain numbers.
 */
import type { Tun } from './device.ts'
import { type LinuxTunInit, openLinuxTun } from './linux.ts'

export type OpenTunInit = LinuxTunInit

/**
 * Makes a TUN interface of the system; it is down until it has an address. Only Linux has one here, and it takes the
 * optional package `koffi` and CAP_NET_ADMIN.
 *
 * Rejects with `OptionError` for options that cannot be, with `TunError` and one of its codes otherwise.
 */
export const openTun = (init: OpenTunInit = {}): Promise<Tun> => openLinuxTun(init)

export { DEFAULT_MTU, HEADROOM, MAX_MTU, MIN_MTU, TunError, verifyInterfaceAddress, type Tun, type TunCounters, type TunErrorCode } from './device.ts'
export { hostTun, type HostDrops, type HostTun, type HostTunInit } from './host.ts'
export { PingError, type PingErrorCode, type PingInit } from './icmp.ts'
export { UdpError, type Datagram, type UdpErrorCode, type UdpSocket } from './udp.ts'
export * from './ipv4.ts'
export { addWords, fold } from './checksum.ts'
