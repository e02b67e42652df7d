/** Text of `relay status`, `peer status` and `relay reload` for gotunnel. */
import type { ConfigureResult, GotunnelIdentityStatus, GotunnelPeerStatus, GotunnelPortStatus, GotunnelServerStatus, MapStatus } from '../../nodes/gotunnel/index.ts'
import { bytes, counted, duration, nonZero, rate, table } from '../control/text.ts'

const RELAY_HEAD = ['PORT', 'CLIENT', 'SOURCE', 'MODE', 'STATE', 'UP', 'USERS', 'WAIT', 'IN', 'OUT', 'RECEIVED', 'SENT', 'DROPS']
const PEER_HEAD = ['PORT', 'LEADS TO', 'STATE', 'MODE', 'SERVICE', 'UP', 'USERS', 'IN', 'OUT', 'RECEIVED', 'SENT', 'FAILURES', 'DROPS']

export function relayText ({ url, clients, ports, users, waiting, halfOpen, refused, turnedAway, bufferedBytes, identities }: GotunnelServerStatus): string {
  const [refusals, turned] = [nonZero(refused), nonZero(turnedAway)]
  return [
    `gotunnel ${url}: ${counted(ports, 'port')} of ${counted(clients, 'control connection')}, ${counted(users, 'user')}, ${waiting} of them waiting, ${halfOpen} half-open${buffered(bufferedBytes)}`,
    ...(refusals === '' ? [] : [`refused since the start: ${refusals}`]),
    ...(turned === '' ? [] : [`users turned away since the start: ${turned}`]),
    ...identities.map(identityText)
  ].join('\n')
}

const buffered = (count: number): string => count === 0 ? '' : `, ${bytes(count)} buffered`

function identityText ({ name, turnedAway, bufferedBytes, allowed, ports, maxPorts, users, maxUsers, accepted, bytesIn, bytesOut, drops, mapped }: GotunnelIdentityStatus): string {
  const [dropped, turned] = [nonZero(drops), nonZero(turnedAway)]
  return `
identity ${name}, ports ${allowed}: ${ports} of ${counted(maxPorts, 'port')}, ${maxUsers === undefined ? counted(users, 'user') : `${users} of ${counted(maxUsers, 'user')}`}, ${accepted} since the start, in ${bytes(bytesIn)}, out ${bytes(bytesOut)}${buffered(bufferedBytes)}${dropped === '' ? '' : `, drops ${dropped}`}${turned === '' ? '' : `, turned away ${turned}`}
${mapped.length === 0 ? 'no port is mapped' : table([RELAY_HEAD, ...mapped.map(portRow)])}`
}

const portRow = (port: GotunnelPortStatus): string[] => [
  String(port.port),
  port.client || '-',
  port.source,
  port.mode,
  port.state,
  duration(port.connected),
  String(port.users),
  String(port.waiting),
  rate(port.rateIn),
  rate(port.rateOut),
  bytes(port.bytesIn),
  bytes(port.bytesOut),
  nonZero(port.drops) || '-'
]

/** `2 clients ended, listens on tcp://0.0.0.0:17000`. */
export function relayReloadText ({ ended, url }: ConfigureResult & { url: string }): string {
  return `${counted(ended, 'control connection')} ended, listens on ${url}`
}

export function peerText ({ server, name, maps }: GotunnelPeerStatus): string {
  const online = maps.filter(({ state }) => state === 'online').length
  return [
    `gotunnel ${server} as ${name}: ${online} of ${counted(maps.length, 'port')} online`,
    table([PEER_HEAD, ...maps.map(mapRow)]),
    ...maps.flatMap(({ remotePort, reason }) => reason === undefined ? [] : [`port ${remotePort}: ${reason}`])
  ].join('\n')
}

const mapRow = (map: MapStatus): string[] => [
  String(map.remotePort),
  map.local,
  map.state,
  map.mode ?? '-',
  map.service,
  map.connected === undefined ? '-' : duration(map.connected),
  String(map.users),
  rate(map.rateIn),
  rate(map.rateOut),
  bytes(map.bytesIn),
  bytes(map.bytesOut),
  String(map.failures),
  nonZero(map.drops) || '-'
]
