/** Counters that a worker reports about its members once a second, and before one of them is removed. */
import { bufferedAmountOf } from '../../../../limits/send-queue.ts'
import type { ConnectionLimiterStats } from '../../../../limits/connection-limiter.ts'
import type { Member } from '../member.ts'
import { newTraffic, type Traffic } from '../stats.ts'
import type { Connection, RemoteMember } from './connection.ts'
import type { Counts } from './messages.ts'
import { PartialSwitch } from './partial-switch.ts'

export class Counting {
  /** The queue size last reported for each member. */
  readonly #reported = new WeakMap<Member, number>()
  /** Messages for members that had already left, by network. */
  readonly #late = new Map<number, number>()

  /** Counts messages for a member of a network that has left. */
  late (network: number, messages: number): void { this.#late.set(network, (this.#late.get(network) ?? 0) + messages) }

  /** Takes all changes since the last call. */
  take (limiter: ConnectionLimiterStats, connections: Iterable<Connection>, remote: Iterable<[number, RemoteMember]> = []): Counts {
    const counts: Counts = { heard: [], traffic: [], late: [...this.#late], limiter }
    this.#late.clear()
    for (const connection of connections) {
      if (connection.isHeard) counts.heard.push([connection.id, connection.received])
      connection.isHeard = false
      this.#add(counts, connection.id, connection)
    }
    for (const [id, member] of remote) {
      // forwarded messages are counted by the worker that sends them
      Object.assign(member.traffic, { packetsOut: 0, bytesOut: 0 })
      this.#add(counts, id, member)
    }
    return counts
  }

  #add (counts: Counts, id: number, member: Member): void {
    const { traffic, port } = member
    const network = member.network instanceof PartialSwitch ? member.network.number : undefined
    if (isNothing(traffic) && (this.#reported.get(member) ?? 0) === 0) return
    const queued = bufferedAmountOf(port)
    counts.traffic.push({ network, id, traffic, queued })
    this.#reported.set(member, queued)
    member.traffic = newTraffic()
  }
}

function isNothing ({ packetsIn, packetsOut, resyncs, throttled, drops }: Traffic): boolean {
  return packetsIn === 0 && packetsOut === 0 && resyncs === 0 && throttled === 0 && Object.values(drops).every((count) => count === 0)
}
