/** One peer of the demo: it pings another one and sends it datagrams, and it counts what comes back. */
import { setTimeout as delay } from 'node:timers/promises'
import { joinCandy, type CandyPeer } from 'tunpipe/nodes/candy'
import { userspaceTun, type UserspaceTun, type UdpSocket } from 'tunpipe/tun'

/** The port on which each peer sends datagrams back, and the bytes of one. */
const ECHO_PORT = 7
const DATAGRAM = 512

/** Milliseconds. */
const PING_EVERY = 50
const BURST_EVERY = 20
const LOST_AFTER = 2000

/** Datagrams of one burst. */
const BURST = 4

export interface PingNumbers {
  answered: number
  lost: number
  /** Round trips in milliseconds. */
  last: number
  average: number
}

export interface UdpNumbers {
  sent: number
  echoed: number
  lost: number
}

export class Member {
  readonly ping: PingNumbers = { answered: 0, lost: 0, last: 0, average: 0 }
  readonly udp: UdpNumbers = { sent: 0, echoed: 0, lost: 0 }
  readonly #tun: UserspaceTun
  readonly #peer: CandyPeer
  readonly #client: UdpSocket
  readonly #server: UdpSocket
  /** When each datagram was sent that has not come back; in the order of sending. */
  readonly #flying = new Map<number, number>()
  #onLanded: (() => void) | undefined

  private constructor (tun: UserspaceTun, peer: CandyPeer) {
    this.#tun = tun
    this.#peer = peer
    this.#server = tun.udp(ECHO_PORT)
    this.#client = tun.udp()
    this.#echo().catch(() => {}) // an answer that the closed interface does not take any more
    void this.#collect()
  }

  /** Connects to the relay, which gives an address. */
  static async join (url: string, password: string, signal: AbortSignal): Promise<Member> {
    const tun = userspaceTun()
    return new Member(tun, await joinCandy({ url, password, tun, signal, direct: false })) // what is shown is the relay
  }

  get address (): string { return (this.#peer.address ?? '').split('/')[0] }

  get packetsIn (): number { return this.#peer.stats.packetsIn }

  get packetsOut (): number { return this.#peer.stats.packetsOut }

  /** Talks to another one until the signal comes, then waits for what is still under way. */
  async talk (to: string, signal: AbortSignal): Promise<void> {
    await Promise.all([this.#pings(to, signal), this.#datagrams(to, signal)])
  }

  async close (): Promise<void> {
    await this.#peer.close()
    await this.#tun.close()
  }

  async #pings (to: string, signal: AbortSignal): Promise<void> {
    const { ping } = this
    while (!signal.aborted) {
      try {
        ping.last = await this.#tun.ping(to, { timeout: LOST_AFTER })
        ping.answered++
        ping.average += (ping.last - ping.average) / ping.answered
      } catch {
        ping.lost++
      }
      await pause(PING_EVERY, signal)
    }
  }

  async #datagrams (to: string, signal: AbortSignal): Promise<void> {
    const data = Buffer.alloc(DATAGRAM)
    while (!signal.aborted) {
      for (let i = 0; i < BURST; i++) {
        data.writeUInt32BE(this.udp.sent)
        this.#flying.set(this.udp.sent++, performance.now())
        this.#client.send({ address: to, port: ECHO_PORT, data })
      }
      await pause(BURST_EVERY, signal)
      this.#giveUp()
    }
    if (this.#flying.size > 0) await Promise.race([this.#landed(), delay(LOST_AFTER)])
    this.udp.lost += this.#flying.size
    this.#flying.clear()
  }

  /** All that were sent have come back. */
  #landed (): Promise<void> {
    return new Promise((resolve) => { this.#onLanded = resolve })
  }

  #giveUp (): void {
    for (const [number, sentAt] of this.#flying) {
      if (performance.now() - sentAt < LOST_AFTER) return
      this.#flying.delete(number)
      this.udp.lost++
    }
  }

  async #echo (): Promise<void> {
    for await (const batch of this.#server) {
      for (const datagram of batch) this.#server.send(datagram)
    }
  }

  async #collect (): Promise<void> {
    for await (const batch of this.#client) {
      for (const { data } of batch) {
        if (this.#flying.delete(Buffer.from(data).readUInt32BE())) this.udp.echoed++
      }
      if (this.#flying.size === 0) this.#onLanded?.()
    }
  }
}

const pause = (milliseconds: number, signal: AbortSignal): Promise<void> => delay(milliseconds, undefined, { signal }).catch(() => {})
