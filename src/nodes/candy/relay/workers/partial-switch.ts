/** A network, the part of it that is connected to one worker. */
import { FrameDecoder } from '../../../../transforms/websocket-frames/index.ts'
import type { Batch } from '../../../../types.ts'
import type { Member, SwitchSettings } from '../member.ts'
import { RELAY_FRAMES } from '../settings.ts'
import { Switch, type Budget } from '../switch.ts'
import { Connection } from './connection.ts'
import type { Framed, WorkerRings } from './worker-rings.ts'

/** Their views; the frames are those of a server. */
const messagesOf = (frames: Uint8Array): Batch => new FrameDecoder({ role: 'client', maxPayload: RELAY_FRAMES.maxPayload }).push([frames])

export class PartialSwitch extends Switch {
  readonly number: number
  readonly #rings: WorkerRings

  constructor (number: number, settings: SwitchSettings, budget: Budget, rings: WorkerRings) {
    super(settings, budget)
    this.number = number
    this.#rings = rings
  }

  override flood (from: Member, message: Uint8Array): void {
    this.flush(from) // what it has sent to members elsewhere stays in front of this
    this.#floodLocal(from, message)
    from.traffic.drops.queue += this.#rings.broadcast(this.number, message)
  }

  /** To a member that is here, from another worker. True when the frames are sent as they are, and their memory is in use until they were. */
  deliverFrames (member: Connection, { frames, count, bytes }: Framed, from: Member | undefined, now: number): boolean {
    if (!this.mayTake(member, count)) return false
    const { link, sendQueue, taps } = member
    const isWhole = sendQueue.admitsAll(count, bytes, from, now)
    if (!isWhole || taps !== undefined || link.sendFrames === undefined) {
      this.write(member, sendQueue.cut(messagesOf(frames)), count, from, now)
      return false
    }
    const isSent = link.sendFrames(frames)
    if (isSent) this.written(member, count, bytes, from, now)
    else member.traffic.drops.queue += count
    return isSent
  }

  /** From a member that another worker has, to all that are here. */
  floodFrames (from: Member, frames: Uint8Array): void {
    for (const message of messagesOf(frames)) this.#floodLocal(from, message)
    this.flush(from)
  }

  #floodLocal (from: Member, message: Uint8Array): void {
    for (const member of this.members()) {
      if (member !== from && member instanceof Connection && this.mayReach(from, member)) this.enqueue(member, message)
    }
  }
}
