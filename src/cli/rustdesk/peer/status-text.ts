/** Text of `peer status`, `peer explain` and `peer reload` for RustDesk. */
import type { RemoteStatus, RustdeskPeerExplanation, RustdeskPeerStatus, ServedStatus } from '../../../nodes/rustdesk/peer/settings.ts'
import { counted, table } from '../../control/text.ts'

const REMOTE_HEAD = ['CONNECTS TO', 'USERS CONNECT TO', 'STATE', 'PATH', 'USERS', 'ACCEPTED', 'FAILURES']
const SERVED_HEAD = ['IS CONNECTED', 'PATH', 'USERS', 'ACCEPTED']

/** Peers that are shown; the rest is a number. */
const MAX_PEERS = 50

/** `direct 203.0.113.5:4000`. */
const pathText = ({ path, endpoint }: { path: string | undefined, endpoint: string | undefined }): string => path === undefined ? 'none' : `${path} ${endpoint}`

const registeredText = (isRegistered: boolean | undefined): string => isRegistered === undefined ? 'without an id' : isRegistered ? 'registered' : 'not registered'

export function peerText ({ id, key, server, isRegistered, nat, remotes, served, pushes: { pushes, dropped }, refused }: RustdeskPeerStatus): string {
  return [
    `rustdesk ${server}: ${id === undefined ? '' : `${id} `}${registeredText(isRegistered)}, NAT ${nat}`,
    `key ${key}`,
    ...(pushes + refused === 0 ? [] : [`since the start: ${counted(pushes, 'request')} of the server, ${dropped} of them dropped, ${counted(refused, 'connection')} refused`]),
    ...(remotes.length === 0 ? [] : ['', table([REMOTE_HEAD, ...remotes.map(remoteRow)])]),
    ...remotes.flatMap(({ id, why, reason }) => why !== undefined ? [`${id}: ${why}`] : reason === undefined ? [] : [`${id}: ${reason}`]),
    ...(served.length === 0 ? [] : ['', table([SERVED_HEAD, ...served.slice(0, MAX_PEERS).map(servedRow)])]),
    ...(served.length > MAX_PEERS ? [`and ${counted(served.length - MAX_PEERS, 'more session')}`] : [])
  ].join('\n')
}

const remoteRow = ({ id, url, state, users, accepted, failures, ...path }: RemoteStatus): string[] => [id, url ?? '-', state, pathText(path), String(users), String(accepted), String(failures)]

const servedRow = ({ name, users, accepted, ...path }: ServedStatus): string[] => [name, pathText(path), String(users), String(accepted)]

/** Which paths were tried, and why. */
export function peerExplainText ({ id, isRemote, remote, served, nat, history }: RustdeskPeerExplanation): string {
  const [path] = [...(remote?.path === undefined ? [] : [remote]), ...served]
  return [
    `${id}: ${path === undefined ? 'no path' : `${pathText(path)}: ${path.why}`}`,
    isRemote || served.length > 0 ? [...(isRemote ? ['this peer connects to it'] : []), ...(served.length > 0 ? ['it connects to this peer'] : [])].join(', and ') : 'this peer does not connect to it, and it is not connected to this peer',
    ...(remote?.reason === undefined ? [] : [`the last session has ended: ${remote.reason}`]),
    `here: NAT ${nat}`,
    '',
    ...(history.length === 0 ? ['nothing was tried'] : history.map(({ at, text }) => `${new Date(at).toISOString()} ${text}`))
  ].join('\n')
}

/** `1 peer disconnected`. */
export const peerReloadText = ({ ended = 0 }: { ended?: number }): string => `${counted(ended, 'session')} ended`
