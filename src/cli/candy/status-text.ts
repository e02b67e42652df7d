/** Text of `relay status`, `peer status` and `relay reload` for candy. */
import type { CandyMemberStatus, CandyNetworkStatus, CandyPeerStatus, CandyServerStatus, NetworkChanges } from '../../nodes/candy/index.ts'
import type { StunServerStatus } from '../../nodes/stun/index.ts'
import { directLines } from './direct-text.ts'
import { bytes, counted, duration, nonZero, rate, table } from '../control/text.ts'

const HEAD = ['ADDRESS', 'SOURCE', 'CLIENT', 'UP', 'SILENT', 'IN', 'OUT', 'QUEUE', 'DROPS']

export function relayText ({ url, workers = 1, connections, halfOpen, peers, refused, networks, stun }: Omit<CandyServerStatus, 'workers'> & { workers?: number, stun?: StunServerStatus }): string {
  const refusals = nonZero(refused)
  return [
    `candy ${url}: ${counted(peers, 'peer')}, ${counted(connections, 'connection')}, ${halfOpen} half-open${workers === 1 ? '' : `; ${workers} workers`}`,
    ...(refusals === '' ? [] : [`refused since the start: ${refusals}`]),
    ...(stun === undefined ? [] : [stunText(stun)]),
    ...networks.map(networkText)
  ].join('\n')
}

function stunText ({ url, requests, responses, errors, drops }: StunServerStatus): string {
  const [refused, dropped] = [nonZero(errors), nonZero(drops)]
  return `stun ${url}: ${counted(requests, 'request')}, ${counted(responses, 'response')}${refused === '' ? '' : `, errors ${refused}`}${dropped === '' ? '' : `, drops ${dropped}`}`
}

function networkText ({ path, range, leases, packetsIn, bytesIn, packetsOut, bytesOut, resyncs, drops, members }: CandyNetworkStatus): string {
  const name = [path, range].filter((text) => text !== '').join(', ')
  const dropped = nonZero(drops)
  return `
${name === '' ? 'network' : `network ${name}`}: ${counted(members.length, 'peer')}, ${counted(leases, 'lease')}, in ${counted(packetsIn, 'packet')} of ${bytes(bytesIn)}, out ${packetsOut} of ${bytes(bytesOut)}${dropped === '' ? '' : `, drops ${dropped}`}${resyncs === 0 ? '' : `, ${counted(resyncs, 'resync')}`}
${members.length === 0 ? 'no client is connected' : table([HEAD, ...members.map(memberRow)])}`
}

const memberRow = (member: CandyMemberStatus): string[] => [
  member.address,
  member.source,
  [member.system, member.version, member.host].filter((text) => text !== '').join(' ') || '-',
  duration(member.connected),
  duration(member.silent),
  rate(member.rateIn),
  rate(member.rateOut),
  bytes(member.queued),
  nonZero(member.drops) || '-'
]

/** `1 connection ended; networks added: /a, /b`. */
export function relayReloadText ({ added, removed, ended }: NetworkChanges): string {
  const named = (paths: string[]): string => paths.map((path) => path === '' ? 'the one without a path' : path).join(', ')
  return [
    `${counted(ended, 'connection')} ended`,
    ...(added.length === 0 ? [] : [`networks added: ${named(added)}`]),
    ...(removed.length === 0 ? [] : [`networks removed: ${named(removed)}`])
  ].join('; ')
}

export function peerText ({ url, state, reason, address, interface: name, offloads, connected, roundTrip, packetsIn, bytesIn, rateIn, packetsOut, bytesOut, rateOut, queued, failures, drops, pushed, overlaps, restored, lost, direct, members = [] }: CandyPeerStatus): string {
  const dropped = nonZero(drops)
  const since = connected === undefined ? state : `${state} for ${duration(connected)}`
  return [
    `candy ${url}: ${since}${address === undefined ? '' : `, ${address} on ${name}`}${offloads.length === 0 ? '' : ` (offloads ${offloads.join(', ')})`}${roundTrip === undefined ? '' : `, ${roundTrip.toFixed(1)} ms to the server and back`}`,
    `in ${counted(packetsIn, 'packet')} of ${bytes(bytesIn)}, now ${rate(rateIn)}; out ${packetsOut} of ${bytes(bytesOut)}, now ${rate(rateOut)}; ${bytes(queued)} wait`,
    `${counted(failures, 'connection')} lost or not made${reason === undefined ? '' : `, the last: ${reason}`}${dropped === '' ? '' : `; drops ${dropped}`}`,
    ...(lost.length === 0 && restored === 0 ? [] : [`interface put back ${counted(restored, 'time')}${lost.length === 0 ? '' : `; taken by others now: ${lost.join(', ')}`}`]),
    ...pushed.map(({ destination, gateway }) => `route ${destination} via ${gateway}`),
    ...(direct === undefined ? ['no direct paths are looked for (--direct off)'] : directLines(direct, members)),
    ...overlaps.map(({ refused, network, owner }) => `not taken: ${refused} overlaps ${network} of ${owner}`)
  ].join('\n')
}
