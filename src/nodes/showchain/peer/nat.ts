/** The NAT in front of this machine, as relays tell it (SHOW CHAIN protocol, section 4). */
import { loadSha256 } from '../../../crypto/index.ts'
import type { NatKind } from '../../../nat/index.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { helperStatus } from './helper-status.ts'
import { ShowchainNode } from './node.ts'
import { readPeer, type HelperStatus, type ShowchainPeerInit } from './settings.ts'

/** Milliseconds for relays to answer, and then for the tests of the NAT. */
const ANSWER_TIME = 10_000
const TEST_TIME = 20_000

/** What was found out. Undefined is what could not be. */
export interface NatInspection {
  /** Undefined: unknown, which counts as T4. */
  kind: NatKind | undefined
  /** All that could change the kind was tested. */
  isCertain: boolean
  /** The endpoint outside is the same one for both relays. */
  isMappingIndependent: boolean | undefined
  /** Datagrams get in from an address that nothing was sent to. */
  passesOtherHost: boolean | undefined
  /** They do from another port of an address that something was sent to. */
  passesOtherPort: boolean | undefined
  /** The endpoints outside; empty when no relay has answered. */
  mapped: string[]
  /** Of the socket. */
  local: string
  helpers: HelperStatus[]
}

/** Asks the relays, and settles when the kind is found, or cannot be. Takes some seconds. @throws an error of the system when it cannot bind */
export async function inspectNat (init: Omit<ShowchainPeerInit, 'to' | 'allow' | 'connect' | 'direct'>): Promise<NatInspection> {
  const { identity, bootstrap, host, port, bind, lookup, clock, log, random, pageSignatures, keys, threads } = readPeer({ ...init, to: { host: '127.0.0.1', port: 1 } })
  let wake = (): void => {}
  const node = await ShowchainNode.open({
    identity,
    bootstrap,
    listen: { host, port },
    bind,
    lookup,
    sha256: await loadSha256(),
    clock,
    log,
    random,
    isDirect: false,
    pageSignatures,
    keys,
    threads,
    isAllowed: () => false,
    userOf: () => undefined,
    ownerOf: () => undefined,
    onPathGone () {},
    onHelpers: () => { wake() },
    onKind: () => { wake() },
    onFailed: () => { wake() }
  })
  const until = async (isSo: () => boolean, time: number): Promise<void> => {
    const late = new AbortController()
    const timer = clock.set(time, () => {
      late.abort()
      wake()
    })
    while (!late.signal.aborted && !isSo()) await new Promise<void>((resolve) => { wake = resolve })
    clock.clear(timer)
  }
  try {
    await until(() => node.helpers.registered.length > 0, ANSWER_TIME)
    if (node.helpers.registered.length > 0 && node.helpers.all.length > 1) await until(() => node.kindReport !== undefined, TEST_TIME)
    const { isMappingIndependent, passesOtherHost, passesOtherPort, isCertain = false } = node.kindReport ?? {}
    const mapped = [...new Set([...node.kindReport?.mapped ?? [], ...node.mapped].map(endpointText))]
    return { kind: node.kind, isCertain, isMappingIndependent, passesOtherHost, passesOtherPort, mapped, local: endpointText(node.local), helpers: node.helpers.all.map(helperStatus) }
  } finally {
    node.close()
  }
}
