/** Messages of the server, encoded. Those without a content of their own are encoded once. */
import type { RendezvousState, ServerList } from './state.ts'
import { idPk, rendezvous, type RendezvousInit } from '../protocol/messages.ts'

/** Leaves out what has its default, as RustDesk does: text and bytes that are empty, 0 and false. Not for members of a `oneof`. */
export function sparse<T extends object> (fields: T): T {
  const kept = {} as T
  for (const name in fields) {
    const value: unknown = fields[name]
    if (value !== 0 && value !== false && value !== undefined && (value as { length?: number }).length !== 0) kept[name] = fields[name]
  }
  return kept
}

export const encode = (message: RendezvousInit): Uint8Array => rendezvous.encode(message)

/** To a peer that says it is there: whether it has to register its key. */
export const HEARD = encode({ register_peer_response: {} })
export const KEY_WANTED = encode({ register_peer_response: { request_pk: true } })

/** By the number of the result. */
const registerResults = new Map<number, Uint8Array>()

export function registerResult (result: number): Uint8Array {
  const known = registerResults.get(result)
  if (known !== undefined) return known
  const bytes = encode({ register_pk_response: sparse({ result }) })
  registerResults.set(result, bytes)
  return bytes
}

/** The list of servers, for a client that knows an older one. */
export const configUpdate = ({ serial, servers }: ServerList): { serial: number, rendezvous_servers: string[] } => ({ serial, rendezvous_servers: [...servers] })

const NO_KEY = new Uint8Array(0)

/**
 * The signed key of a peer, as clients get it.
 *
 * @param version of the peer, as it says; without one it is too old to take part
 */
export function signedKey ({ settings: { signer }, peers }: Pick<RendezvousState, 'settings' | 'peers'>, id: string, version: string): Uint8Array {
  const peer = peers.get(id) // in memory, as it was asked
  if (peer === undefined || version === '' || signer === undefined) return NO_KEY
  return signer.sign(id, idPk.encode({ id, pk: peer.pk }))
}
