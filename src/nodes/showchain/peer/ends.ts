/** Who takes the packets that come by one way: to another node this one may be R and T at the same time, by the same endpoints. */
import { readU32 } from '../../../net/ipv4.ts'
import type { Batch } from '../../../types.ts'
import { FirstByte, INDEX_AT } from '../protocol/data-packets.ts'
import { Stage, STAGE_AT } from './handshake-parts.ts'
import type { Path, PathUser } from './paths.ts'

/** A path, and what is above it. */
export interface End {
  readonly path: Path
  readonly user: PathUser
}

export type Role = 'requester' | 'target'

/** Those of one way. */
export type Ends = { [role in Role]?: End | undefined }

/** Hands packets to those that they are for. @param ownerOf who has made an index */
export function deliver (packets: Batch, { requester, target }: Ends, ownerOf: (index: number) => unknown, now: number): void {
  if (requester === undefined || target === undefined) {
    const only = requester ?? target
    only?.user.receive(packets, only.path, now)
    return
  }
  const isRequesters = (packet: Uint8Array): boolean => packet[0] === FirstByte.HANDSHAKE
    ? packet[STAGE_AT] === Stage.ANSWER
    : packet.length >= INDEX_AT + 4 && ownerOf(readU32(packet, INDEX_AT)) === requester.user
  const [own, others] = [packets.filter(isRequesters), packets.filter((packet) => !isRequesters(packet))]
  if (own.length > 0) requester.user.receive(own, requester.path, now)
  if (others.length > 0) target.user.receive(others, target.path, now)
}
