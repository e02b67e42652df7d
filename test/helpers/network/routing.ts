/** What the tests of routes have in common: a gateway with a fixed address, rules that lead to it, and the routes that a client has then. */
import type { Namespace } from './namespaces.ts'
import { DEVICE, startPeer, type Program } from './programs.ts'

export const LISTEN = 'ws://0.0.0.0:8080'
export const URL = 'ws://192.0.2.1:8080/'

export const CLIENT = '10.77.0.3'
export const GATEWAY = '10.77.0.2'

/** Rules that lead to these networks by the gateway. */
export const sdwan = (...networks: string[]): string => networks.map((network) => `10.77.0.0/24,${network},${GATEWAY}`).join(';')

/** The routes to these networks, as {@link Namespace.routes} tells them. */
export const via = (...networks: string[]): string[] => networks.map((network) => `${network} via ${GATEWAY} dev ${DEVICE}`)

export interface MemberInit {
  url?: string
  args?: readonly string[]
  hosts?: string
  resolvConf?: string
}

/** Starts a peer with an address of its own. */
export const startMember = (host: Namespace, stateDir: string, address: string, { url = URL, args = [], ...files }: MemberInit = {}): Program =>
  startPeer(host, { url, stateDir, ...files, args: ['--address', `${address}/24`, ...args] })
