/** What a worker tells of its members once a second, and before one of them is gone. */
import { bufferedAmountOf } from '../../../../limits/send-queue.ts'
import type { ConnectionLimiterStats } from '../../../../limits/connection-limiter.ts'
import type { Member } from '../member.ts'
import { newTraffic, type Traffic } from '../stats.ts'
import type { Connection, RemoteMember } from './connection.ts'
import type { Counts } from './messages.ts'
import { PartialSwitch } from './partial-switch.ts'

export class Counting {
  /** What was last told to wait for a member. */
  readonly #told = new WeakMap<Member, number>()
  /** Messages that came for a member when it had gone, by network. */
  readonly #late = new Map<number, number>()

  /** So many messages came for a member of a network that has gone. */
  late (network: number, messages: number): void { this.#late.set(network, (this.#late.get(network) ?? 0) + messages) }

  /** What has changed since it was last taken. */
  take (limiter: ConnectionLimiterStats, connections: Iterable<Connection>, remote: Iterable<[number, RemoteMember]> = []): Counts {
    const counts: Counts = { heard: [], traffic: [], late: [...this.#late], limiter }
    this.#late.clear()
    for (const connection of connections) {
      if (connection.isHeard) counts.heard.push([connection.id, connection.received])
      connection.isHeard = false
      this.#add(counts, connection.id, connection)
    }
    for (const [id, member] of remote) {
      // What was passed on is counted where it goes out.
      Object.assign(member.traffic, { packetsOut: 0, bytesOut: 0 })
      this.#add(counts, id, member)
    }
    return counts
  }

  #add (counts: Counts, id: number, member: Member): void {
    const { traffic, port } = member
    const network = member.network instanceof PartialSwitch ? member.network.number : undefined
    if (isNothing(traffic) && (this.#told.get(member) ?? 0) === 0) return
    const queued = bufferedAmountOf(port)
    counts.traffic.push({ network, id, traffic, queued })
    this.#told.set(member, queued)
    member.traffic = newTraffic()
  }
}

function isNothing ({ packetsIn, packetsOut, resyncs, throttled, drops }: Traffic): boolean {
  return packetsIn === 0 && packetsOut === 0 && resyncs === 0 && throttled === 0 && Object.values(drops).every((count) => count === 0)
}
