/** The part of a network that is connected to one worker. */
import { FrameDecoder } from '../../../../transforms/websocket-frames/index.ts'
import type { Batch } from '../../../../types.ts'
import type { Member, SwitchSettings } from '../member.ts'
import { RELAY_FRAMES } from '../settings.ts'
import { Switch, type Budget } from '../switch.ts'
import { Connection } from './connection.ts'
import type { Framed, WorkerRings } from './worker-rings.ts'

/** The messages in these frames, as views. Frames of a server are not masked. */
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
    this.flush(from) // keeps earlier messages to remote members in order
    this.#floodLocal(from, message)
    from.traffic.drops.queue += this.#rings.broadcast(this.number, message)
  }

  /** Sends frames of another worker to a local member. Returns true when their memory is in use until they are sent. */
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

  /** Sends frames of a remote member to all local ones. */
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
