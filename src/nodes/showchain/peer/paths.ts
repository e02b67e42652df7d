/** Ways by which packets of data (SHOW CHAIN protocol, section 7.1) get to another node, and what is above them. */
import type { Batch, Endpoint, PacketPort } from '../../../types.ts'

/** Direct is better than nat, nat better than proxy (SHOW CHAIN protocol, section 5.4). */
export type PathKind = 'direct' | 'nat' | 'proxy'

/** One way. Packets that were given to `send` belong to it. */
export interface Path extends Pick<PacketPort, 'send' | 'queued' | 'limit' | 'isReusable'> {
  readonly kind: PathKind
  /** Of the other node, or of the proxy. */
  readonly endpoint: Endpoint
  /** Bytes of the longest packet; whether the network takes that many has to be tried. */
  readonly maxDatagram: number
  /** Packets arrived, or the path has ended: they need not be repeated because of a loss on it. */
  readonly isReliable: boolean
  /** Settles when less than half of `limit` is queued, or the path has ended. */
  drained (): Promise<void>
  /** Sends a packet at once, and never again. False: there is no room. */
  sendOnce (packet: Uint8Array): boolean
  /** Longer packets do not arrive: those that were sent are not repeated any more. */
  shrank (size: number): void
  /** When the other node is known to have been at the other end, in milliseconds of the clock; -Infinity: never. A proxy may say so wrongly. */
  readonly reachedAt: number
  /** Called by what is above when the path is of no use any more. */
  close (): void
}

/** What is above the paths to one node: it takes packets, and chooses the path by which others go. */
export interface PathUser {
  addPath (path: Path): void
  /** The path has ended. @param err why, where something has failed */
  removePath (path: Path, err?: Error): void
  /** The packets may be changed. Their memory may be reused once this has returned. */
  receive (packets: Batch, path: Path, now: number): void
}
