/** Text of `relay status`, `peer status` and `reload` for SHOW CHAIN. */
import type { HelperStatus, PathStatus, RemoteStatus, ShowchainPeerStatus } from '../../nodes/showchain/peer/settings.ts'
import type { ShowchainRelayStatus } from '../../nodes/showchain/relay/status.ts'
import { bytes, counted, nonZero, table } from '../control/text.ts'

const HELPER_HEAD = ['HELPER', 'STATE', 'ROUND TRIP', 'ID']

export function relayText ({ url, id, proxy, nodes, sources, sessions, helpers, registered, gone, introduced, answered, opened, passed, passedBytes, passedAgain, challenges, verifying, signing, drops }: ShowchainRelayStatus & { url: string }): string {
  return [
    `showchain ${url}: ${counted(nodes, 'node')} of ${sources === 1 ? '1 address' : `${sources} addresses`}, ${proxy ? counted(sessions, 'session') : 'no proxy'}${verifying + signing === 0 ? '' : `, ${verifying} messages wait to be verified, ${signing} answers to be signed`}`,
    `id ${id}`,
    `since the start: ${counted(registered, 'registration')}, ${gone} nodes gone silent, ${challenges} challenges, ${counted(introduced, 'introduction')}, ${answered} of them answered`,
    ...(proxy ? [`carried since the start: ${counted(opened, 'session')}, ${counted(passed, 'message')} of ${bytes(passedBytes)}, ${passedAgain} again`] : []),
    ...line('dropped', drops),
    ...(helpers.length === 0 ? [] : ['', table([HELPER_HEAD, ...helpers.map(({ name, id, isRegistered, roundTrip, reason }) => [name, isRegistered ? 'registered' : reason ?? 'is asked', milliseconds(roundTrip), id ?? '-'])])])
  ].join('\n')
}

const line = (what: string, counts: Readonly<Record<string, number | undefined>>): string[] => {
  const text = nonZero(counts as Record<string, number>)
  return text === '' ? [] : [`${what} since the start: ${text}`]
}

const milliseconds = (time: number | undefined): string => time === undefined ? '-' : `${time.toFixed(1)} ms`

const KINDS = ['unknown, which counts as T4', 'T1, full cone or no NAT', 'T2, restricted cone', 'T3, port-restricted cone', 'T4, symmetric']

/** `NAT T3, port-restricted cone`. */
export const kindText = (kind = 0): string => `NAT ${KINDS[kind]}`

const isRegistered = ({ state }: HelperStatus): boolean => state === 'registered' || state === 'checking'

/** Rows of a table. */
export const helperRows = (helpers: readonly HelperStatus[]): string[][] => [
  ['RELAY', 'STATE', 'ROUND TRIP', 'SEES THIS PEER AT'],
  ...helpers.map((helper) => [helper.name, isRegistered(helper) ? 'registered' : `${helper.state}${helper.reason === undefined ? '' : `: ${helper.reason}`}`, milliseconds(helper.roundTrip), helper.mapped ?? '-'])
]

/** `nat 203.0.113.5:4000 (12.3 ms)`. */
export const pathText = ({ kind, endpoint, roundTrip }: PathStatus): string => `${kind} ${endpoint}${roundTrip === undefined ? '' : ` (${milliseconds(roundTrip)})`}`

function chosenPath (paths: readonly PathStatus[]): string {
  const chosen = paths.find(({ isChosen }) => isChosen)
  return chosen === undefined ? 'none' : pathText(chosen)
}

const REMOTE_HEAD = ['CONNECTS TO', 'USERS CONNECT TO', 'STATE', 'PATH', 'USERS', 'ACCEPTED', 'FAILURES']
const SERVED_HEAD = ['IS CONNECTED', 'PATH', 'USERS', 'ACCEPTED']

/** Nodes that are shown; the rest is a number. */
const MAX_NODES = 50

/** Milliseconds by which a clock may be wrong without a word. */
const MAX_SKEW = 5000

export function peerText ({ id, url = 'nowhere', kind, isLooking, skew, helpers, remotes, served, messages: { drops } }: ShowchainPeerStatus): string {
  const registered = helpers.filter(isRegistered).length
  const open = served.filter(({ isOpen }) => isOpen)
  return [
    `showchain ${url}: registered with ${registered} of ${counted(helpers.length, 'relay')}, ${kindText(kind)}${isLooking ? ' (being looked for)' : ''}`,
    `id ${id}`,
    ...(skew === undefined || Math.abs(skew) < MAX_SKEW ? [] : [`the clock of this machine is ${Math.round(Math.abs(skew) / 1000)} s ${skew > 0 ? 'behind' : 'ahead'}: beyond 30 s others drop what it sends`]),
    ...line('dropped', drops),
    '',
    table(helperRows(helpers)),
    ...(remotes.length === 0 ? [] : ['', table([REMOTE_HEAD, ...remotes.map(remoteRow)])]),
    ...remotes.flatMap(({ id, reason }) => reason === undefined ? [] : [`${id}: ${reason}`]),
    ...(open.length === 0 ? [] : ['', table([SERVED_HEAD, ...open.slice(0, MAX_NODES).map(({ id, paths, users, accepted }) => [id, chosenPath(paths), String(users), String(accepted)])])]),
    ...(open.length > MAX_NODES ? [`and ${counted(open.length - MAX_NODES, 'more node')}`] : [])
  ].join('\n')
}

const remoteRow = ({ id, url, state, paths, users, accepted, failures }: RemoteStatus): string[] => [id, url ?? '-', state, chosenPath(paths), String(users), String(accepted), String(failures)]

/** What is registered, and sessions, stay. */
export const relayReloadText = (): string => 'nodes stay registered'

/** `1 node disconnected`. */
export const peerReloadText = ({ ended = 0 }: { ended?: number }): string => `${counted(ended, 'node')} disconnected`
