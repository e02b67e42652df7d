/** The servers of STUN of a peer: their names, and what they have said. */
import { lookup } from 'node:dns/promises'
import type { StunResult } from '../../../../nat/index.ts'
import { endpointText } from '../../../../net/endpoint.ts'
import { reasonOf } from '../../../../text/printable.ts'
import type { Endpoint } from '../../../../types.ts'

/** A server by its name. */
export interface StunServer {
  /** As it was named. */
  readonly name: string
  /** Undefined when the name has no address. */
  readonly address: Endpoint | undefined
  /** Why it has none. */
  readonly error?: string
}

/** What a server has said. */
export interface DirectStunStatus {
  /** `HOST:PORT`, as it was named. */
  readonly server: string
  readonly status: StunResult['status'] | 'not found'
  /** Of the socket, as the server sees it. */
  readonly endpoint?: string
  /** Milliseconds. */
  readonly roundTrip?: number
  /** For people. */
  readonly error?: string
}

/** Looks the names up; it never rejects. */
export async function findStunServers (named: readonly Endpoint[]): Promise<StunServer[]> {
  return await Promise.all(named.map(async (server): Promise<StunServer> => {
    const name = endpointText(server)
    try {
      const { address } = await lookup(server.host, { family: 4 })
      return { name, address: { host: address, port: server.port } }
    } catch (err) {
      return { name, address: undefined, error: reasonOf(err as Error) }
    }
  }))
}

/** @param results of those servers that have an address, in their order */
export function stunStatus (servers: readonly StunServer[], results: readonly StunResult[]): DirectStunStatus[] {
  let next = 0
  return servers.map(({ name, address, error }): DirectStunStatus => {
    if (address === undefined) return { server: name, status: 'not found', error }
    const result = results[next++]
    if (result === undefined) return { server: name, status: 'pending' }
    const { status, reflexive, roundTrip, error: said } = result
    return {
      server: name,
      status,
      ...(reflexive !== undefined && { endpoint: endpointText(reflexive) }),
      ...(roundTrip !== undefined && { roundTrip }),
      ...(said !== undefined && { error: said })
    }
  })
}
