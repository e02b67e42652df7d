/**
 * A path to a member that has introduced itself; candy protocol, section 2.7. Each heartbeat has an id, which the other side echoes, so
 * that both know which endpoints work in both directions, how long a round trip takes, and which sizes arrive. Nobody can guess it: else a
 * member could answer for an endpoint of somebody else, and packets to it would go there.
 */
import { randomFillSync } from 'node:crypto'
import { newIntroducedHeartbeat, type IntroducedHeartbeat } from '../../protocol/introduced-heartbeat.ts'
import { PathMtu } from '../../../../nat/index.ts'
import type { DirectSession } from './direct-session.ts'
import { isSame, type DirectPath, type IsUsable, type RemoteEndpoint, type Search } from './path.ts'
import type { Endpoint } from '../../../../types.ts'

/** Milliseconds between heartbeats while packets flow or an endpoint is looked for, and while nothing happens. */
const BUSY_INTERVAL = 250
const IDLE_INTERVAL = 1000

/** Milliseconds by which a look may come early. */
const JITTER = 100

/** Searches at `BUSY_INTERVAL`; further ones are at `IDLE_INTERVAL`. */
const MAX_FAST_SEARCHES = 12

/** Milliseconds after the last packet that count as flowing. */
const BUSY_TIME = 1000

/** Milliseconds without an echo after which more heartbeats are sent than usual: some may have got lost. */
const OVERDUE = 2 * IDLE_INTERVAL

/** Milliseconds without an echo: then packets go elsewhere, by whether they flow; and the path ends. */
const LATE = { busy: 1500, idle: 4000 } as const
const DEAD = 12_000

/** Milliseconds for which all endpoints are tried once one works, as a better one may need longer; and between such times. */
const SETTLE_TIME = 3000
const RETRY_INTERVAL = 30_000

/** Bytes that most paths carry (RFC 8899, section 5.1.2), and milliseconds until a probe is repeated. */
const BASE_SIZE = 1200
const PROBE_TIMEOUT = 500

/** Milliseconds between proofs that datagrams of the size still arrive, while packets flow, and probes without an answer that show the opposite. */
const PROOF_INTERVAL = 5000
const MAX_UNPROVEN = 3

/** Milliseconds to answer after a doubt, at least. */
const DOUBT_TIME = 500

/** Endpoints of a member, those at one host, and heartbeats that may be echoed. */
const MAX_ENDPOINTS = 12
const MAX_OF_HOST = 3
const MAX_PENDING = 256

/** Datagrams for a figure of what is lost. */
const LOSS_SAMPLE = 50

/** A heartbeat that has come: when, and in a datagram of how many bytes. */
interface Echo {
  id: number
  at: number
  size: number
}

interface Known extends RemoteEndpoint {
  /** When an echo of a heartbeat to it has come. */
  confirmedAt: number
}

export interface IntroducedPathInit {
  /** The own virtual address. */
  own: number
  session: DirectSession
  /** Bytes of the longest datagram that is of use. */
  most: number
  transmit (datagram: Uint8Array, to: Endpoint): void
}

export class IntroducedPath implements DirectPath {
  readonly kind = 'introduced'
  readonly fragments = false // else it would look as if large datagrams arrived
  readonly #init: IntroducedPathInit
  readonly #mtu: PathMtu
  #endpoints: Known[] = []
  #endpoint: Known | undefined
  /** By id, oldest first. */
  readonly #pending = new Map<number, { at: number, to: Known, size: number }>()
  /** The newest heartbeat of the other side. */
  #echo: Echo = { id: 0, at: 0, size: 0 }
  /** The number of the datagram that it came in. */
  #echoNumber = 0
  #beatAt = -Infinity
  #usedAt = -Infinity
  /** Since when packets flow. */
  #busyAt = -Infinity
  #settledAt = -Infinity
  #triedAt = -Infinity
  #confirmedAt = -Infinity
  #isLate = false
  #doubtedAt = -Infinity
  #searches = 0
  /** Probes of the size in use without an answer, and when the last one was sent or the size was found to arrive. */
  #unproven = 0
  #proofAt = -Infinity
  #roundTrip: number | undefined
  #lossIn: number | undefined
  #lossOut: number | undefined
  #sample = { newest: 0, received: 0 }

  constructor (init: IntroducedPathInit) {
    this.#init = init
    this.#mtu = new PathMtu({ most: init.most, base: Math.min(BASE_SIZE, init.most), timeout: PROBE_TIMEOUT })
  }

  get endpoint (): RemoteEndpoint | undefined { return this.#endpoint }

  get roundTrip (): number | undefined { return this.#roundTrip }

  get loss (): DirectPath['loss'] { return { in: this.#lossIn, out: this.#lossOut } }

  get size (): number { return this.#mtu.size }

  get isSettled (): boolean { return this.#mtu.isSettled }

  add (endpoint: RemoteEndpoint): void { this.#known(endpoint) }

  addLocal (endpoint: RemoteEndpoint): void { this.#known(endpoint) }

  keep (isUsable: IsUsable): void {
    this.#endpoints = this.#endpoints.filter(isUsable)
    if (this.#endpoint !== undefined && !isUsable(this.#endpoint)) this.#endpoint = undefined
    for (const [id, { to }] of this.#pending) if (!isUsable(to)) this.#pending.delete(id) // an answer would bring it back
  }

  beat (now: number, search: Search): void {
    const isSearching = search === 'all' || this.#endpoint === undefined
    const isBusy = now - this.#usedAt < BUSY_TIME
    if (!isSearching) this.#probe(now, isBusy)
    const isOverdue = !isSearching && now - this.#confirmedAt > OVERDUE
    const isFast = isSearching ? this.#searches < MAX_FAST_SEARCHES : isBusy || isOverdue
    if (now - this.#beatAt < (isFast ? BUSY_INTERVAL : IDLE_INTERVAL) - JITTER) return
    this.#beatAt = now
    this.#searches = isSearching ? this.#searches + 1 : 0
    if (isSearching || this.#isUnsettled(now)) {
      this.#triedAt = now
      for (const to of this.#endpoints) this.#send(to, now, { wantsAnswer: true })
    } else {
      this.#send(this.#endpoint as Known, now, { wantsAnswer: isOverdue })
    }
  }

  /** A heartbeat has come, in a datagram of so many bytes. True when it acknowledges one of ours. */
  heard (heartbeat: IntroducedHeartbeat, size: number, from: RemoteEndpoint, now: number): boolean {
    const { id, echo, echoDelay, echoSize, wantsAnswer } = heartbeat
    const { last } = this.#init.session
    if (last > this.#echoNumber) {
      this.#echo = { id, at: now, size }
      this.#echoNumber = last
    }
    this.#lossOut = heartbeat.loss
    this.#countLoss()
    const known = this.#known(from)
    if (wantsAnswer) this.#send(known, now, { echo: { id, at: now, size } })
    const pending = this.#pending.get(echo)
    if (pending === undefined || now - pending.at > DEAD) return false // it proves nothing of now
    this.#pending.delete(echo)
    const sample = Math.max(0, now - pending.at - echoDelay)
    this.#roundTrip = this.#roundTrip === undefined ? sample : this.#roundTrip * 0.875 + sample * 0.125
    this.#confirmed(pending.to, now)
    if (pending.to === this.#endpoint && pending.size === echoSize) {
      this.#mtu.acknowledged(echoSize, now)
      if (echoSize >= this.#mtu.size) {
        this.#unproven = 0
        this.#proofAt = now
      }
    }
    return true
  }

  seal (datagram: Uint8Array): void { this.#init.session.seal(datagram) }

  used (now: number): void {
    const busyAt = this.#busyAt // the store has no branch of its own, whose first use would discard optimised code
    this.#busyAt = now - this.#usedAt >= BUSY_TIME ? now : busyAt
    this.#usedAt = now
  }

  doubted (now: number): void {
    if (this.#isLate || this.#endpoint === undefined || this.#doubtedAt > this.#confirmedAt) return
    this.#doubtedAt = now
    if (now - this.#confirmedAt > LATE.busy) this.#isLate = true
    else this.#send(this.#endpoint, now, { wantsAnswer: true })
  }

  measured (): void {} // heartbeats measure it

  health (now: number): 'alive' | 'late' | 'dead' {
    const silent = now - this.#confirmedAt
    if (silent > DEAD) return 'dead'
    const isBusy = now - this.#usedAt < BUSY_TIME
    const isDoubtful = this.#doubtedAt > this.#confirmedAt && now - this.#doubtedAt > Math.max(DOUBT_TIME, 3 * (this.#roundTrip ?? 0))
    if (isDoubtful || silent > LATE.idle || (isBusy && Math.min(silent, now - this.#busyAt) > LATE.busy)) this.#isLate = true // until there is an echo
    return this.#isLate ? 'late' : 'alive'
  }

  close (): void {
    this.#endpoints = []
    this.#endpoint = undefined
  }

  /** One of the endpoints has just begun to work, or none of a private network does while there is one. */
  #isUnsettled (now: number): boolean {
    if (now - this.#settledAt < SETTLE_TIME) return true
    return this.#endpoint?.isLocal !== true && now - this.#triedAt > RETRY_INTERVAL && this.#endpoints.some(({ isLocal }) => isLocal)
  }

  /** Looks for the size of the path, and whether what was found still arrives: it may have become narrower. */
  #probe (now: number, isBusy: boolean): void {
    if (this.#endpoint === undefined) return
    let size = this.#mtu.poll(now)
    if (size === undefined && isBusy && this.#mtu.size > 0 && now - this.#proofAt > (this.#unproven === 0 ? PROOF_INTERVAL : PROBE_TIMEOUT)) {
      if (this.#unproven === MAX_UNPROVEN) {
        this.#unproven = 0
        this.#mtu.blackHole(now)
        return
      }
      this.#unproven++
      this.#proofAt = now
      size = this.#mtu.size
    }
    if (size !== undefined) this.#send(this.#endpoint, now, { wantsAnswer: true, size })
  }

  #send (to: Known, now: number, { wantsAnswer = false, echo = this.#echo, size }: { wantsAnswer?: boolean, echo?: Echo, size?: number }): void {
    const id = newId()
    const datagram = newIntroducedHeartbeat({ sender: this.#init.own, id, wantsAnswer, echo: echo.id, echoDelay: now - echo.at, echoSize: echo.size, loss: this.#lossIn }, size)
    this.#pending.set(id, { at: now, to, size: datagram.length })
    if (this.#pending.size > MAX_PENDING) this.#pending.delete(this.#pending.keys().next().value as number)
    this.#init.session.seal(datagram)
    this.#init.transmit(datagram, to)
  }

  #confirmed (endpoint: Known, now: number): void {
    const patience = this.#isLate ? LATE.busy : LATE.idle
    endpoint.confirmedAt = this.#confirmedAt = now
    this.#isLate = false
    const used = this.#endpoint
    if (used === endpoint) return
    if (used !== undefined && now - used.confirmedAt < patience && (used.isLocal || !endpoint.isLocal)) return
    if (used === undefined) this.#settledAt = now
    this.#endpoint = endpoint
    this.#mtu.blackHole(now)
  }

  #known (endpoint: RemoteEndpoint): Known {
    const known = this.#endpoints.find((other) => isSame(other, endpoint))
    if (known !== undefined) return known
    const added = { ...endpoint, confirmedAt: -Infinity }
    const ofHost = this.#endpoints.filter(({ host }) => host === endpoint.host)
    const full = ofHost.length >= MAX_OF_HOST ? ofHost : this.#endpoints.length >= MAX_ENDPOINTS ? this.#endpoints : undefined
    if (full !== undefined) {
      const oldest = full.filter((other) => other !== this.#endpoint).reduce((a, b) => a.confirmedAt <= b.confirmedAt ? a : b)
      this.#endpoints.splice(this.#endpoints.indexOf(oldest), 1)
    }
    this.#endpoints.push(added)
    return added
  }

  #countLoss (): void {
    const { newest, received } = this.#init.session
    const expected = newest - this.#sample.newest
    if (expected < LOSS_SAMPLE) return
    this.#lossIn = Math.max(0, 1 - (received - this.#sample.received) / expected)
    this.#sample = { newest, received }
  }
}

const idBytes = new Uint32Array(1)

/** 1 to 2^32 - 1. */
function newId (): number {
  randomFillSync(idBytes)
  return idBytes[0] === 0 ? 1 : idBytes[0]
}
