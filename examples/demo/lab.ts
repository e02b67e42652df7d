/** A relay and its peers, all in this process, over real WebSockets on the loopback address. */
import { setMaxListeners } from 'node:events'
import { serveCandy, type CandyServer } from 'tunpipe/nodes/candy'
import { Member, type PingNumbers, type UdpNumbers } from './member.ts'

const PASSWORD = 'only for this process'

export interface PeerSnapshot {
  address: string
  packetsIn: number
  packetsOut: number
  /** Packets a second, both directions, since the snapshot before. */
  rate: number
  ping: PingNumbers
  udp: UdpNumbers
}

export interface Snapshot {
  /** Since the start. */
  seconds: number
  relay: { url: string, packets: number, dropped: number }
  peers: PeerSnapshot[]
}

export class Lab {
  readonly #server: CandyServer
  readonly #members: Member[]
  readonly #startedAt = performance.now()
  #before: { at: number, packets: number[] }

  private constructor (server: CandyServer, members: Member[]) {
    this.#server = server
    this.#members = members
    this.#before = { at: this.#startedAt, packets: members.map(() => 0) }
  }

  static async start (count: number, signal: AbortSignal): Promise<Lab> {
    setMaxListeners(0, signal) // each peer has a few
    const server = await serveCandy({ listen: 'ws://127.0.0.1:0', password: PASSWORD, dhcp: '10.77.0.0/24' })
    const members: Member[] = []
    try {
      while (members.length < count) members.push(await Member.join(server.url, PASSWORD, signal))
      return new Lab(server, members)
    } catch (err) {
      await Promise.all(members.map((member) => member.close()))
      await server.close()
      throw err
    }
  }

  /** Each peer talks to the next one, in a ring, until the signal comes and all answers are in. */
  async talk (signal: AbortSignal): Promise<void> {
    const members = this.#members
    await Promise.all(members.map((member, i) => member.talk(members[(i + 1) % members.length].address, signal)))
  }

  snapshot (): Snapshot {
    const at = performance.now()
    const packets = this.#members.map(({ packetsIn, packetsOut }) => packetsIn + packetsOut)
    const before = this.#before
    this.#before = { at, packets }
    const { stats } = this.#server.relay
    return {
      seconds: (at - this.#startedAt) / 1000,
      relay: { url: this.#server.url, packets: stats.packetsOut, dropped: stats.drops.source + stats.drops.destination + stats.drops.queue },
      peers: this.#members.map(({ address, packetsIn, packetsOut, ping, udp }, i) => ({
        address,
        packetsIn,
        packetsOut,
        rate: (packets[i] - before.packets[i]) / (at - before.at) * 1000,
        ping: { ...ping },
        udp: { ...udp }
      }))
    }
  }

  async close (): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close()))
    await this.#server.close()
  }
}
