/**
 * Network interfaces as links of packets: {@link openTun} makes one of the system, {@link userspaceTun} one inside this process, without
 * privileges. Also IPv4 addresses and headers as plain numbers.
 */
export { openLinuxTun as openTun, type OpenTunInit } from './linux.ts'
export { HEADROOM, MAX_MTU, MIN_MTU, TunError, verifyInterfaceAddress, type OccupiedNetwork, type Offload, type RefusedRoute, type Tun, type TunCounters, type TunErrorCode, type TunLoss, type TunRoute, type TunWatcher } from './device.ts'
export { userspaceTun, type UserspaceTunDrops, type UserspaceTun, type UserspaceTunInit } from './userspace.ts'
export { PingError, type PingErrorCode, type PingInit } from './icmp.ts'
export { UdpError, type Datagram, type UdpErrorCode, type UdpSocket } from './udp.ts'
export {
  cidrOf, formatAddress, formatCidr, inNetwork, isMulticast, LIMITED_BROADCAST, maskOf, parseAddress, parseCidr, prefixOf,
  type Cidr
} from '../net/ipv4.ts'
export {
  destinationOf, headerChecks, headerLengthOf, isFragment, isIpv4, protocolOf, protocols, sourceOf, totalLengthOf, versionOf,
  writeHeader, type HeaderInit
} from '../net/ipv4.ts'
