/** A direct path to a member: where datagrams go, and what seals them. There are two kinds, by whether the member has introduced itself. */
import type { Endpoint } from '../../../../types.ts'

/** Where a datagram is sent to or comes from. */
export interface RemoteEndpoint extends Endpoint {
  /** In a private network; candy protocol, section 2.5. */
  readonly isLocal: boolean
}

/** How a path looks for endpoints: at all that it knows, or only at the one that it uses. */
export type Search = 'all' | 'used'

/** Whether datagrams may go there. */
export type IsUsable = (endpoint: RemoteEndpoint) => boolean

export interface DirectPath {
  readonly kind: 'original' | 'introduced'
  /** Where packets go; undefined while no endpoint has been heard. */
  readonly endpoint: RemoteEndpoint | undefined
  /** Milliseconds; undefined: not measured. */
  readonly roundTrip: number | undefined
  /** The part of the datagrams lost in either direction, 0 to 1; undefined: not known. */
  readonly loss: { readonly in: number | undefined, readonly out: number | undefined }
  /** Bytes of the longest datagram that arrives; 0: none does. */
  readonly size: number
  /** Whether datagrams may be cut into fragments on their way. */
  readonly fragments: boolean
  /** Whether that is known, and not only what is known so far. */
  readonly isSettled: boolean
  /** Adds an endpoint that the member has told. */
  add (endpoint: RemoteEndpoint): void
  /** Adds the one in its own network. */
  addLocal (endpoint: RemoteEndpoint): void
  /** Forgets the endpoints that this does not hold for. */
  keep (isUsable: IsUsable): void
  /** A DELAY has come back after so many milliseconds. */
  measured (roundTrip: number): void
  /** Sends the heartbeats that are due. */
  beat (now: number, search: Search): void
  /** Seals a datagram in place. */
  seal (datagram: Uint8Array): void
  /** Packets go over it, so it is watched closely. */
  used (now: number): void
  /** The member has sent a packet another way, as if the path did not work. */
  doubted (now: number): void
  /** Whether the member has acknowledged lately: `late` is worth a doubt, and packets go elsewhere; `dead` ends the path. */
  health (now: number): 'alive' | 'late' | 'dead'
  close (): void
}

export const isSame = (one: Endpoint | undefined, other: Endpoint): boolean => one !== undefined && one.port === other.port && one.host === other.host
