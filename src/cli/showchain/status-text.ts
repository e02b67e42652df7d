/** Text of `relay status`, `peer status` and `reload` for SHOW CHAIN. */
import type { HelperStatus, PathStatus, RemoteStatus, ShowchainPeerStatus } from '../../nodes/showchain/peer/settings.ts'
import type { MessageStats } from '../../nodes/showchain/protocol/pipeline-stats.ts'
import type { ShowchainRelayStatus } from '../../nodes/showchain/relay/status.ts'
import { bytes, counted, nonZero, table } from '../control/text.ts'

const HELPER_HEAD = ['HELPER', 'STATE', 'ROUND TRIP', 'ID']

export function relayText ({ url, id, proxy, nodes, sources, sessions, helpers, registered, gone, introduced, answered, opened, passed, passedBytes, passedAgain, challenges, verifying, signing, received, sent, unsent, drops }: ShowchainRelayStatus & { url: string }): string {
  return [
    `showchain ${url}: ${counted(nodes, 'node')} of ${sources === 1 ? '1 address' : `${sources} addresses`}, ${proxy ? counted(sessions, 'session') : 'no proxy'}${verifying + signing === 0 ? '' : `, waiting: ${counted(verifying, 'message')} to be verified, ${counted(signing, 'answer')} to be signed`}`,
    `id ${id}`,
    `since the start: ${counted(registered, 'registration')}, ${counted(gone, 'node')} gone silent, ${counted(challenges, 'challenge')}, ${counted(introduced, 'introduction')}, ${answered} of them answered`,
    ...(proxy ? [`carried since the start: ${counted(opened, 'session')}, ${counted(passed, 'message')} of ${bytes(passedBytes)}, ${passedAgain} again`] : []),
    ...messageLines({ received, sent, unsent, drops }),
    ...(helpers.length === 0 ? [] : ['', table([HELPER_HEAD, ...helpers.map(({ name, id, isRegistered, roundTrip, reason }) => [name, isRegistered ? 'registered' : reason ?? 'is asked', milliseconds(roundTrip), id ?? '-'])])])
  ].join('\n')
}

/** `received since the start: direct request 12, keep alive 3`; nothing for what has not happened. */
function messageLines ({ received, sent, unsent, drops }: MessageStats): string[] {
  return [
    ...line('received', nonZero(withBlanks(received))),
    ...line('sent', [nonZero(withBlanks(sent)), unsent === 0 ? '' : `${unsent} not, as too many waited`].filter((part) => part !== '').join('; ')),
    ...line('dropped', nonZero(drops))
  ]
}

const line = (what: string, text: string): string[] => text === '' ? [] : [`${what} since the start: ${text}`]

/** `directRequest` is `direct request`. */
const withBlanks = (counts: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).map(([name, count]) => [name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`), count]))

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

export function peerText ({ id, url = 'nowhere', kind, isLooking, skew, helpers, remotes, served, messages }: ShowchainPeerStatus): string {
  const registered = helpers.filter(isRegistered).length
  const open = served.filter(({ isOpen }) => isOpen)
  return [
    `showchain ${url}: registered with ${registered} of ${counted(helpers.length, 'relay')}, ${kindText(kind)}${isLooking ? ' (being looked for)' : ''}`,
    `id ${id}`,
    ...(skew === undefined || Math.abs(skew) < MAX_SKEW ? [] : [`the clock of this machine is ${Math.round(Math.abs(skew) / 1000)} s ${skew > 0 ? 'behind' : 'ahead'}: beyond 30 s others drop what it sends`]),
    ...messageLines(messages),
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
