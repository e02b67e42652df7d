/** Text of `relay status` and `relay reload` for RustDesk. */
import type { RendezvousPeerStatus, RustdeskPairStatus } from '../../nodes/rustdesk/index.ts'
import { bytes, counted, duration, nonZero, rate, table } from '../control/text.ts'
import { printable } from '../../text/printable.ts'
import type { RustdeskStatus } from './relay-service.ts'

/** Peers, or pairs, that are shown as text; `--json` has more. */
const MOST_SHOWN = 50

const PEER_HEAD = ['ID', 'ADDRESS', 'WAY', 'ONLINE', 'SILENT']

const HEAD = ['FIRST', 'SECOND', 'ID', 'UP', 'BYTES', 'PEAK', 'AVERAGE', 'LAST', 'SLOWED']

/** Bytes a second of a kb/s, as pairs tell their speeds. */
const KILOBIT = 1024 / 8

export function relayText ({ rendezvous, relay }: RustdeskStatus): string {
  return [...(rendezvous === undefined ? [] : rendezvousLines(rendezvous)), ...(relay === undefined ? [] : relayLines(relay))].join('\n')
}

function rendezvousLines ({ url, peers, online, connected, healthChecks, registered, stored, asked, answered, waiting, halfOpen, evicted, alwaysUseRelay, relays, drops, refused, refusedRegistrations, refusedPunches, lostDatagrams, members = [] }: NonNullable<RustdeskStatus['rendezvous']>): string[] {
  return [
    `rustdesk rendezvous ${url}: ${counted(peers, 'peer')}, ${online} of them online${connected === 0 ? '' : `, ${connected} by a connection`}, ${counted(waiting, 'client')} waiting, ${halfOpen} half-open${healthChecks === 0 ? '' : `, ${counted(healthChecks, 'health check')}`}`,
    `since the start: ${counted(registered, 'registration')}, ${stored} of them stored, ${asked} peers asked, ${answered} answers passed on`,
    ...(relays.all.length === 0 ? [] : [`relays: ${relays.live.join(', ')} (${relays.live.length} of ${relays.all.length})`]),
    ...(alwaysUseRelay ? ['peers meet at a relay'] : []),
    ...line('registrations refused', refusedRegistrations),
    ...line('punches refused', refusedPunches),
    ...line('connections refused', refused),
    ...line('dropped', { ...drops, evicted, lost_datagrams: lostDatagrams }),
    ...shown(members, online, PEER_HEAD, peerRow)
  ]
}

function relayLines ({ url, pairs, pending, halfOpen, paired, bytes: forwarded, bufferedBytes, refused, ended, members }: NonNullable<RustdeskStatus['relay']>): string[] {
  return [
    `rustdesk relay ${url}: ${counted(pairs, 'pair')}, ${pending} waiting for a partner, ${halfOpen} half-open${bufferedBytes === 0 ? '' : `, ${bytes(bufferedBytes)} buffered`}`,
    `since the start: ${counted(paired, 'pair')}, ${bytes(forwarded)}`,
    ...line('connections refused', refused),
    ...line('pairs ended', ended),
    ...shown(members, pairs, HEAD, row)
  ]
}

const line = (what: string, counts: Record<string, number>): string[] => nonZero(counts) === '' ? [] : [`${what} since the start: ${nonZero(counts)}`]

/** A table of some of them, and how many there are besides. */
function shown<T> (members: readonly T[], count: number, head: string[], row: (member: T) => string[]): string[] {
  if (members.length === 0) return []
  const rows = members.slice(0, MOST_SHOWN).map(row)
  return ['', table([head, ...rows]), ...(count > rows.length ? [`and ${count - rows.length} more`] : [])]
}

const peerRow = ({ id, address, way, online, silent }: RendezvousPeerStatus): string[] =>
  [printable(id), address, way === 'none' ? '-' : way, duration(online), duration(silent)]

const row = ({ first, second, id, lasted, bytes: used, peak, average, last, isSlowed }: RustdeskPairStatus): string[] =>
  [first, second, id === '' ? '-' : id, duration(lasted), bytes(used), rate(peak * KILOBIT), rate(average * KILOBIT), rate(last * KILOBIT), isSlowed ? 'yes' : '-']

/** Only connections end by which peers have registered that are not allowed any more. */
export const relayReloadText = (): string => 'pairs stay, and so do connections of peers that are allowed'
