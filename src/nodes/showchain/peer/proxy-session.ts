/** A session with a proxy as a path: what is sent by it arrives, each packet once, or the session fails (SHOW CHAIN protocol, section 6). */
import { DIGEST_BYTES, ReplayWindow, type Hmac, type Sha256 } from '../../../crypto/index.ts'
import { BottleneckModel } from '../../../transforms/reliable/bottleneck-model.ts'
import type { Identity } from '../protocol/identity.ts'
import { MAX_MESSAGE } from '../protocol/messages.ts'
import { Op } from '../protocol/op.ts'
import type { Batch, Clock, Endpoint, Timer } from '../../../types.ts'
import { CoveredData } from '../protocol/covered-data.ts'
import type { DataFields } from '../protocol/data-fields.ts'
import { DataAcks } from './data-acks.ts'
import { DataRequests } from './data-requests.ts'
import { DataWindow, type Outstanding } from './data-window.ts'
import { PairError } from './pair-error.ts'
import type { Path } from './paths.ts'

/** Numbers behind the highest one that are taken. */
const WINDOW = 1024

/** Milliseconds without an acknowledgement until the session has failed; after which a message is signed anew. */
const FAIL_AFTER = 30_000
const SIGN_AGAIN_AFTER = 20_000

/** Milliseconds between two looks at what is to be repeated, at least. */
const TICK = 10

/** Signatures that are made at one time, so that all processors are in use. */
const MAX_SIGNING = 16

/** Of a millisecond. */
const MICROSECONDS = 1000

/** Bytes that wait for their turn. */
const LIMIT = 128 << 10

/** Bytes of a packet that goes ahead of larger ones that wait: probes, their answers and acknowledgements, without which the other end gives up. Those that wait. */
const URGENT = 128
const MAX_URGENT = 128

/** What is still repeated after `close`, for so many milliseconds: the last packets say why. */
const LAST_PACKETS = 4
const LINGER = 3000

export interface ProxySessionInit {
  clock: Clock
  sha256: Sha256
  identity: Pick<Identity, 'id' | 'size' | 'signLater'>
  /** Id of the other end. */
  target: Uint8Array
  /** 16 bytes. */
  session: Uint8Array
  /** Of the proxy. */
  endpoint: Endpoint
  /** Signatures do not cover the data, which has no hash either. */
  pageSignatures?: boolean
  /** The number of the first message. Default: microseconds since 1970, so that it is larger than those of all before, also of an earlier run. */
  firstSeq?: number
  /** 0 to 1, for the congestion control. Default: `Math.random`. */
  random?: () => number
  /** Sends datagrams to the proxy. */
  output (datagrams: Batch): void
  onPackets (packets: Batch, path: Path, now: number): void
  /** Called once: nothing was acknowledged for 30 s, or the proxy has altered something. The session takes no more packets then, but sends what is given to it in this call. */
  onFailed (err: PairError, path: Path): void
}

export class ProxySession implements Path {
  readonly kind = 'proxy'
  readonly isReliable = true
  readonly limit = LIMIT
  readonly endpoint: Endpoint
  /** 0x124 that had come before. */
  repeated = 0
  readonly #init: ProxySessionInit
  readonly #requests: DataRequests
  readonly #covered: CoveredData
  readonly #acks: DataAcks
  readonly #window: DataWindow
  readonly #received = new ReplayWindow({ size: WINDOW })
  #hmac: Hmac | undefined
  #signing = 0
  /** Messages whose signatures are made, in the order in which they are sent. */
  #inOrder: Outstanding[] = []
  /** Packets that have no number yet: those that go first, and others from `#first` on. */
  #urgent: Batch = []
  #waiting: Batch = []
  #first = 0
  #queued = 0
  #out: Batch = []
  /** Of this read. */
  #packets: Batch = []
  #isAcknowledged = false
  #drained: { promise: Promise<void>, resolve: () => void } | undefined
  #timer: Timer | undefined
  #dueAt = Infinity
  #isFailed = false
  #closedAt = Infinity

  constructor (init: ProxySessionInit) {
    this.#init = init
    this.endpoint = init.endpoint
    const { sha256, identity: { id }, target, session, pageSignatures = false, random } = init
    this.#covered = new CoveredData(sha256, { target, session, hasHash: !pageSignatures })
    this.#requests = new DataRequests({ sha256, covered: this.#covered, id, target, session, pageSignatures })
    this.#acks = new DataAcks({ session, received: this.#received, isSingle: pageSignatures })
    this.#window = new DataWindow({
      control: new BottleneckModel({ maxDatagram: MAX_MESSAGE, random }),
      packet: MAX_MESSAGE,
      first: init.firstSeq ?? init.clock.date() * MICROSECONDS
    })
  }

  get maxDatagram (): number { return this.#requests.maxData(this.#signBytes) }

  get queued (): number { return this.#queued }

  /** Messages that are not acknowledged. */
  get outstanding (): number { return this.#window.outstanding }

  get reachedAt (): number { return this.#window.acknowledgedAt }

  /** Milliseconds of a round trip to the other end, smoothed; undefined until one is known. */
  get rtt (): number | undefined { return this.#window.rtt }

  /** From now on messages have an HMAC of this key (SHOW CHAIN protocol, section 6.3), also those that are repeated. */
  useKey (key: Uint8Array): void {
    this.#hmac = this.#init.sha256.hmac(key)
    this.#window.signAllAgain()
  }

  send (packets: Batch): number {
    const most = this.maxDatagram
    let longest = 0
    for (const packet of packets) longest = Math.max(longest, packet.length)
    const isUrgent = longest <= URGENT
    if (this.#closedAt !== Infinity || longest > most || (isUrgent ? this.#urgent.length >= MAX_URGENT : this.#queued >= LIMIT)) return 0
    const queue = isUrgent ? this.#urgent : this.#waiting
    for (const packet of packets) {
      queue.push(packet)
      this.#queued += packet.length
    }
    this.#pump(this.#init.clock.now())
    return packets.length
  }

  sendOnce (packet: Uint8Array): boolean {
    const isFull = !this.#window.hasNumber || (this.#hmac === undefined && this.#signing >= MAX_SIGNING)
    if (this.#closedAt !== Infinity || packet.length > this.maxDatagram || isFull) return false
    this.#begin(packet, true, this.#init.clock.now())
    this.#flush()
    return true
  }

  shrank (size: number): void {
    this.#window.drop(({ data }) => data.length > size)
    this.#waiting = this.#waiting.slice(this.#first).filter(({ length }) => length <= size)
    this.#first = 0
    this.#queued = [...this.#waiting, ...this.#urgent].reduce((sum, { length }) => sum + length, 0)
    this.#pump(this.#init.clock.now())
  }

  drained (): Promise<void> {
    if (this.#isTaking) return Promise.resolve()
    if (this.#drained === undefined) {
      let tell = (): void => {}
      this.#drained = { promise: new Promise((resolve) => { tell = resolve }), resolve: () => { tell() } }
    }
    return this.#drained.promise
  }

  /** Takes a 0x124 or 0x125 of this session that has come from the proxy. Its memory is in use until `finish`. */
  take (bytes: Uint8Array, fields: DataFields, now: number): void {
    const { op, seq, ts, data, dataLength } = fields
    if (this.#isFailed) return
    if (op === Op.dataAck) {
      const arrived = data === 0 ? undefined : bytes.subarray(data, data + dataLength)
      if (this.#window.acknowledge(seq, arrived, now)) this.#isAcknowledged = true
    } else if (this.#init.pageSignatures !== true && !this.#covered.hasHash(bytes, fields)) {
      this.#fail('ERR_PATH_ALTERED', 'the proxy has altered data')
    } else {
      this.#acks.add(seq, ts)
      if (this.#received.accept(seq)) this.#packets.push(bytes.subarray(data, data + dataLength))
      else this.repeated++
    }
  }

  /** Acknowledges and hands over what was taken together. */
  finish (now: number): void {
    if (this.#isFailed) return
    const packets = this.#packets
    this.#packets = []
    this.#acks.write(this.#out)
    if (this.#isAcknowledged) this.#window.finish(now)
    this.#isAcknowledged = false
    this.#pump(now)
    if (packets.length > 0 && this.#closedAt === Infinity) this.#init.onPackets(packets, this, now)
  }

  /** Takes no more packets. The last ones are repeated for a while until they are acknowledged. */
  close (): void {
    if (this.#closedAt !== Infinity) return
    this.#closedAt = this.#init.clock.now()
    const waiting = [...this.#waiting.slice(this.#first), ...this.#urgent].slice(-LAST_PACKETS)
    this.#urgent = []
    this.#window.keepLast(LAST_PACKETS - waiting.length)
    this.#waiting = waiting
    this.#first = this.#queued = 0
    this.#pump(this.#closedAt)
    this.#tellDrained()
    this.#armAt(this.#closedAt + LINGER)
  }

  get #signBytes (): number { return this.#hmac === undefined ? this.#init.identity.size : DIGEST_BYTES }

  get #isTaking (): boolean { return this.#closedAt !== Infinity || this.#queued < LIMIT / 2 }

  /** Gives numbers to what waits, as far as the window allows it, and sends what is ready. */
  #pump (now: number): void {
    const window = this.#window
    while ((this.#urgent.length > 0 ? window.hasNumber : this.#first < this.#waiting.length && window.hasRoom) && (this.#hmac !== undefined || this.#signing < MAX_SIGNING)) {
      const packet = this.#urgent.shift() ?? this.#waiting[this.#first++]
      this.#queued = Math.max(0, this.#queued - packet.length)
      this.#begin(packet, false, now)
    }
    if (this.#first === this.#waiting.length && this.#first > 0) {
      this.#waiting = []
      this.#first = 0
    }
    this.#flush()
    if (this.#isTaking) this.#tellDrained()
  }

  /** Gives the next number to a packet. */
  #begin (packet: Uint8Array, isOnce: boolean, now: number): void {
    const entry = this.#window.add(packet, isOnce, now)
    if (this.#hmac === undefined) this.#inOrder.push(entry)
    this.#sign(entry, now)
  }

  #sign (entry: Outstanding, now: number): void {
    const { clock, identity } = this.#init
    entry.isSigning = true
    entry.signedAt = now
    const { bytes: covered } = this.#covered
    const { bytes, signAt } = this.#requests.write(entry.data, entry.seq, clock.date(), this.#signBytes)
    entry.bytes = bytes
    if (this.#hmac !== undefined) {
      this.#hmac.sign(covered, 0, covered.length, bytes, signAt)
      this.#send(entry, now)
      return
    }
    this.#signing++
    identity.signLater(covered, (sign) => {
      this.#signing--
      if (sign === undefined) {
        this.#fail('ERR_PROXY_SESSION', 'OpenSSL makes no signature')
        return
      }
      bytes.set(sign, signAt)
      this.#signed(entry)
    })
  }

  /** Those that were never sent leave in order, as far as they are signed. */
  #signed (entry: Outstanding): void {
    const now = this.#init.clock.now()
    entry.isSigning = false
    if (this.#isFailed || !this.#window.has(entry)) {
      this.#inOrder = this.#inOrder.filter((one) => one !== entry)
    } else if (entry.tries > 0) {
      this.#send(entry, now)
    } else {
      let ready = 0
      while (ready < this.#inOrder.length && !this.#inOrder[ready].isSigning) this.#send(this.#inOrder[ready++], now)
      this.#inOrder.splice(0, ready)
    }
    if (!this.#isFailed) this.#pump(now)
  }

  #send (entry: Outstanding, now: number): void {
    this.#out.push(entry.bytes)
    this.#armAt(this.#window.sent(entry, this.#first === this.#waiting.length, now))
  }

  #flush (): void {
    const out = this.#out
    if (out.length === 0) return
    this.#out = []
    this.#init.output(out)
  }

  #armAt (dueAt: number): void {
    if (dueAt >= this.#dueAt) return
    const { clock } = this.#init
    clock.clear(this.#timer)
    this.#dueAt = dueAt
    this.#timer = clock.set(Math.max(TICK, dueAt - clock.now()), this.#onDue)
  }

  readonly #onDue = (): void => {
    const { clock } = this.#init
    const now = clock.now()
    this.#dueAt = Infinity
    const window = this.#window
    if (now - this.#closedAt >= LINGER || (this.#closedAt !== Infinity && window.outstanding === 0)) {
      this.#isFailed = true // it has ended
      return
    }
    if (window.outstanding > 0 && now - window.heardAt >= FAIL_AFTER) {
      this.#fail('ERR_PROXY_SESSION', 'nothing sent by the proxy has been acknowledged for 30 s')
      return
    }
    const next = window.forEachDue(now, (entry) => {
      if (now - entry.signedAt >= SIGN_AGAIN_AFTER) this.#sign(entry, now)
      else this.#send(entry, now)
    })
    this.#flush()
    this.#armAt(this.#closedAt === Infinity ? next : Math.min(next, this.#closedAt + LINGER))
  }

  #fail (code: 'ERR_PATH_ALTERED' | 'ERR_PROXY_SESSION', message: string): void {
    if (this.#isFailed || this.#closedAt !== Infinity) return
    this.#init.onFailed(new PairError(code, message), this)
    this.close()
  }

  #tellDrained (): void {
    this.#drained?.resolve()
    this.#drained = undefined
  }
}
