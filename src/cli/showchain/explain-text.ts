/** Text of `peer explain` and `relay explain` for SHOW CHAIN. */
import type { PeerExplanation } from '../../nodes/showchain/peer/settings.ts'
import type { NodeExplanation } from '../../nodes/showchain/relay/status.ts'
import { duration, table } from '../control/text.ts'
import { helperRows, kindText, pathText } from './status-text.ts'

const steps = (all: ReadonlyArray<{ at: number, text: string }>): string[] => all.map(({ at, text }) => `${new Date(at).toISOString()} ${text}`)

/** Of a relay: whether a node can be reached through it. */
export function relayExplainText ({ id, registration, steps: history }: NodeExplanation & { id: string }): string {
  return [
    ...(registration === undefined
      ? [`${id}: not registered here, so nobody reaches it through this relay`, 'what would help: --bootstrap of that node has to name this relay, and its key has to be that of the id']
      : [`${id}: registered at ${registration.endpoint}, ${kindText(registration.kind)}, heard ${duration(registration.silent)} ago`]),
    '',
    ...(history.length === 0 ? ['nothing has happened to it'] : steps(history))
  ].join('\n')
}

/** Of a peer: which paths were tried, and why. */
export function peerExplainText ({ id, isRemote, isServed, isAllowed, remote, served, kind, helpers, history }: PeerExplanation): string {
  const paths = [...remote?.paths ?? [], ...served?.paths ?? []]
  const chosen = paths.find(({ isChosen }) => isChosen)
  return [
    `${id}: ${chosen === undefined ? 'no path works' : pathText(chosen)}`,
    roleText(isRemote, isServed),
    ...(remote?.reason === undefined ? [] : [`the last connection has ended: ${remote.reason}`]),
    `it may ${isAllowed ? '' : 'not '}connect to this peer`,
    ...paths.filter((path) => path !== chosen).map((path) => `also ${pathText(path)}${path.works ? '' : ', which does not work now'}`),
    '',
    `here: ${kindText(kind)}`,
    table(helperRows(helpers)),
    '',
    ...(history.length === 0 ? ['nothing was tried'] : steps(history))
  ].join('\n')
}

function roleText (isRemote: boolean, isServed: boolean): string {
  if (!isRemote && !isServed) return 'this peer does not connect to it, and it is not connected to this peer'
  return [...(isRemote ? ['this peer connects to it'] : []), ...(isServed ? ['it connects to this peer'] : [])].join(', and ')
}
