/** Paths inside the process, which lose, delay, double, reorder and alter packets, on a virtual clock. */
import { proxyKey } from '../../../src/nodes/showchain/protocol/key-agreement.ts'
import { readMessage, encodeMessage, type ShowchainMessage } from '../../../src/nodes/showchain/protocol/messages.ts'
import { DataFields } from '../../../src/nodes/showchain/protocol/data-fields.ts'
import { Op } from '../../../src/nodes/showchain/protocol/op.ts'
import { verifyMessage } from '../../../src/nodes/showchain/protocol/signatures.ts'
import { PublicKey } from '../../../src/nodes/showchain/protocol/public-key.ts'
import { ProxySession, type ProxySessionInit } from '../../../src/nodes/showchain/peer/proxy-session.ts'
import type { Path, PathKind } from '../../../src/nodes/showchain/peer/paths.ts'
import type { Sha256 } from '../../../src/crypto/index.ts'
import type { VirtualClock } from '../../../src/streams/virtual-clock.ts'
import type { Batch } from '../../../src/types.ts'
import { verifyHmac } from './hmac.ts'
import type { InstantIdentity } from './instant.ts'

export interface Conditions {
  /** Milliseconds, and how much more it may be, which reorders. */
  delay?: number
  jitter?: number
  /** Bytes of the longest packet that passes; see also `Hop.most`. */
  most?: number
  /** 0 to 1. */
  loss?: number
  duplicate?: number
}

/** Changes a packet on its way; undefined drops it. */
export type Alter<T = Uint8Array> = (packet: T) => T | undefined

/** Brings packets from one end to the other. */
export class Hop {
  isCut = false
  /** Longer packets are lost. */
  most: number
  carried = 0
  alter: Alter = (packet) => packet
  readonly #clock: VirtualClock
  readonly #random: () => number
  readonly #conditions: Required<Omit<Conditions, 'most'>>

  constructor (clock: VirtualClock, random: () => number, { delay = 10, jitter = 0, loss = 0, duplicate = 0, most = Infinity }: Conditions = {}) {
    this.most = most
    this.#clock = clock
    this.#random = random
    this.#conditions = { delay, jitter, loss, duplicate }
  }

  send (packets: Batch, deliver: (packets: Batch) => void): void {
    const { delay, jitter, loss, duplicate } = this.#conditions
    const together: Batch = []
    for (const packet of packets) {
      for (let copies = this.#random() < duplicate ? 2 : 1; copies > 0; copies--) {
        if (this.isCut || packet.length > this.most || this.#random() < loss) continue
        const altered = this.alter(Uint8Array.from(packet))
        if (altered === undefined) continue
        this.carried++
        if (jitter === 0) together.push(altered)
        else this.#clock.at(this.#clock.now() + delay + jitter * this.#random(), () => { if (!this.isCut) deliver([altered]) })
      }
    }
    if (together.length > 0) this.#clock.at(this.#clock.now() + delay, () => { if (!this.isCut) deliver(together) })
  }
}

/** What is above a path. */
export interface Receiver { receive (packets: Batch, path: Path, now: number): void }

export class MemoryPath implements Path {
  readonly endpoint = { host: '192.0.2.1', port: 1 }
  readonly isReliable = false
  queued = 0
  readonly reachedAt = -Infinity
  readonly limit = 1 << 20
  readonly maxDatagram: number
  readonly kind: PathKind
  readonly hop: Hop
  readonly #clock: VirtualClock
  #onDrained: Array<() => void> = []
  other: MemoryPath | undefined
  receiver: Receiver | undefined
  isClosed = false

  constructor (clock: VirtualClock, hop: Hop, kind: PathKind, maxDatagram: number) {
    this.#clock = clock
    this.hop = hop
    this.kind = kind
    this.maxDatagram = maxDatagram
  }

  send (packets: Batch): number {
    const { other } = this
    this.hop.send(packets, (arrived) => { if (other !== undefined) other.receiver?.receive(arrived, other, this.#clock.now()) })
    return packets.length
  }

  drained (): Promise<void> { return this.queued === 0 ? Promise.resolve() : new Promise((resolve) => { this.#onDrained.push(resolve) }) }

  /** As if others had filled the socket; `drain` sends all of it. */
  fill (): void { this.queued = this.limit }

  drain (): void {
    this.queued = 0
    for (const resolve of this.#onDrained.splice(0)) resolve()
  }

  sendOnce (packet: Uint8Array): boolean { return this.send([packet]) > 0 }

  shrank (): void {}

  close (): void { this.isClosed = true }
}

/** Two ends of a path without a proxy. */
export function pathPair (clock: VirtualClock, random: () => number, kind: PathKind, conditions?: Conditions, maxDatagram = 1232): [MemoryPath, MemoryPath] {
  const [here, there] = [0, 1].map(() => new MemoryPath(clock, new Hop(clock, random, conditions), kind, maxDatagram))
  here.other = there
  there.other = here
  return [here, there]
}

export interface ProxyPairInit {
  clock: VirtualClock
  random: () => number
  sha256: Sha256
  /** Both ends. */
  identities: [InstantIdentity, InstantIdentity]
  conditions?: Conditions
  pageSignatures?: boolean
  hmac?: boolean
  onFailed?: (end: number, err: Error, path: Path) => void
}

const MAX_LENGTH = 1232

/** A proxy with a session, and both ends of it. It verifies all and passes it on, as a proxy does. */
export class MemoryProxy {
  readonly ends: ProxySession[]
  readonly receivers: Array<Receiver | undefined> = [undefined, undefined]
  /** Towards the proxy, and away from it, by end. */
  readonly up: Hop[]
  readonly down: Hop[]
  /** Messages that were refused. */
  refused = 0
  /** Changes what is passed on: the mischief of a proxy. */
  alter: Alter<ShowchainMessage> = (message) => message
  /** Whether a message is acknowledged to its sender, and not passed on. */
  steal: (message: ShowchainMessage) => boolean = () => false
  readonly session = new Uint8Array(16).fill(7)
  readonly #keys: Array<Uint8Array | undefined> = [undefined, undefined]
  readonly #publicKeys: PublicKey[]
  readonly #init: ProxyPairInit
  readonly #passed = new Map<string, number>()

  constructor (init: ProxyPairInit) {
    this.#init = init
    this.#publicKeys = init.identities.map(({ der }) => PublicKey.read(der) as PublicKey)
    const { clock, random, conditions, identities, sha256, pageSignatures } = init
    this.up = [0, 1].map(() => new Hop(clock, random, conditions))
    this.down = [0, 1].map(() => new Hop(clock, random, conditions))
    this.ends = identities.map((identity, end) => {
      const settings: ProxySessionInit = {
        clock,
        sha256,
        identity,
        target: identities[1 - end].id,
        session: this.session,
        endpoint: { host: '192.0.2.9', port: 9 },
        random,
        output: (datagrams) => { this.up[end].send(datagrams, (arrived) => { this.#pass(arrived, end) }) },
        onPackets: (packets, path, now) => { this.receivers[end]?.receive(packets, path, now) },
        onFailed: (err, path) => { init.onFailed?.(end, err, path) }
      }
      return new ProxySession(pageSignatures === undefined ? settings : { ...settings, pageSignatures })
    })
    if (init.hmac === true) this.ends.forEach((_, end) => { this.useKey(end) })
  }

  useKey (end: number): void {
    const proxy = { id: new Uint8Array(32).fill(9), ephemeral: new Uint8Array(32).fill(8) }
    const key = this.#keys[end] = proxyKey({ secret: new Uint8Array(32).fill(end + 1), session: this.session, requester: { id: this.#init.identities[end].id, ephemeral: new Uint8Array(32) }, proxy })
    this.ends[end].useKey(key)
  }

  /** SHA-256. */
  hash (data: Uint8Array): Uint8Array {
    const digest = new Uint8Array(32)
    this.#init.sha256.digest(data, 0, data.length, digest, 0)
    return digest
  }

  get isCut (): boolean { return this.up[0].isCut }

  set isCut (isCut: boolean) { for (const hop of [...this.up, ...this.down]) hop.isCut = isCut }

  #pass (datagrams: Batch, from: number): void {
    const { clock } = this.#init
    const to = 1 - from
    const out: Batch = []
    for (const datagram of datagrams) {
      const message = readMessage(datagram)
      if (typeof message === 'string' || datagram.length > MAX_LENGTH) {
        this.refused++
      } else if (message.op === Op.dataAck) {
        out.push(encodeMessage(message))
      } else if (this.#isValid(message, from)) {
        if (this.steal(message)) {
          this.down[from].send([encodeMessage({ op: Op.dataAck, session: this.session, seq: message.seq, ts: message.ts })], (arrived) => { this.#deliver(arrived, from) })
          continue
        }
        const { sign: _, ...rest } = message
        const passed = this.alter({ ...rest, op: Op.passData })
        const key = `${from} ${message.seq}`
        if (clock.now() - (this.#passed.get(key) ?? -Infinity) < 100) continue
        this.#passed.set(key, clock.now())
        if (passed !== undefined) out.push(encodeMessage(passed))
      } else {
        this.refused++
      }
    }
    this.down[to].send(out, (arrived) => { this.#deliver(arrived, to) })
  }

  #deliver (datagrams: Batch, end: number): void {
    const now = this.#init.clock.now()
    const fields = new DataFields()
    for (const datagram of datagrams) if (fields.read(datagram)) this.ends[end].take(datagram, fields, now)
    this.ends[end].finish(now)
  }

  #isValid (message: ShowchainMessage, from: number): boolean {
    const key = this.#keys[from]
    if (Math.abs(this.#init.clock.date() - message.ts) > 30_000) return false
    if (this.#init.pageSignatures !== true && message.dataHash === undefined) return false
    if (key !== undefined) return verifyHmac(message, key)
    return verifyMessage(message, this.#publicKeys[from])
  }
}
