/**
 * From datagrams to handlers of messages, and back (SHOW CHAIN protocol, sections 2 and 3.1): datagram, limits and protobuf, cheap checks, budgets, signature, replay window,
 * handler by op code. What is dropped is counted, and not answered.
 *
 * ```ts
 * const pipeline = new Pipeline({ socket, identity, clock, handlers: { directRequest: ({ message, from }) => { ... } } })
 * await pipeline.run(signal)
 * ```
 */
import { codec, over } from '../../../layer.ts'
import { SourceTokenBuckets } from '../../../limits/source-token-buckets.ts'
import { TokenBucket, type TokenBucketInit } from '../../../limits/token-bucket.ts'
import { clientKey } from '../../../net/client-address.ts'
import { consume } from '../../../streams/consume.ts'
import { signed, type SignedLink } from '../../../transforms/signed/layer.ts'
import type { VerificationLimits } from '../../../transforms/signed/verifications.ts'
import { typeDemux, type Handler } from '../../../transforms/type-demux.ts'
import type { Batch, Clock, Core, Datagram, DatagramSocket, Endpoint, PacketPort } from '../../../types.ts'
import { isOfData } from './data-fields.ts'
import { FirstByte } from './data-packets.ts'
import { HMAC_BYTES } from './field-table.ts'
import type { Identity } from './identity.ts'
import { decodeMessage, encodeMessage, readMessage, type ShowchainMessage } from './messages.ts'
import { Op, opName, type OpName } from './op.ts'
import { pipelineStats, type Drop, type PipelineStats, type Refusal } from './pipeline-stats.ts'
import type { PublicKey } from './public-key.ts'
import { idKey, PublicKeys } from './public-keys.ts'
import { ReplayWindows, type Novelty, type ReplayWindowsInit, type WindowKey } from './replay-windows.ts'
import type { Incoming } from './requests.ts'
import { covered, isDataIntact } from './signatures.ts'
import { SocketLink } from './socket-link.ts'
import { VerifiedSignatures } from './verified-signatures.ts'

/** A message that has come. Its memory may be reused once the handler has returned. */
export class Received implements Incoming {
  readonly message: ShowchainMessage
  readonly from: Endpoint
  /** The key by which it is signed; undefined where it is not, or by HMAC. */
  sender: PublicKey | undefined
  /** Of data: its seq has come before. */
  isRepeated = false
  /** Milliseconds of the clock. */
  readonly at: number
  /** @internal */
  readonly datagram: Uint8Array
  #source: string | undefined
  #idKey: string | undefined
  #targetKey: string | undefined
  #sessionKey: string | undefined

  constructor (message: ShowchainMessage, from: Endpoint, at: number, datagram: Uint8Array) {
    this.message = message
    this.from = from
    this.at = at
    this.datagram = datagram
  }

  /** Of limits: where it has come from, see `clientKey`. */
  get source (): string { return (this.#source ??= clientKey(this.from.host)) }

  /** Keys of tables for the ids that the message has, see `idKey`. */
  get idKey (): string { return (this.#idKey ??= idKey(this.message.id as Uint8Array)) }
  get targetKey (): string { return (this.#targetKey ??= idKey(this.message.target as Uint8Array)) }
  get sessionKey (): string { return (this.#sessionKey ??= idKey(this.message.session as Uint8Array)) }

  /** The same in memory of its own. */
  own (): Received {
    const datagram = Uint8Array.from(this.datagram)
    const own = new Received(decodeMessage(datagram), this.from, this.at, datagram)
    own.sender = this.sender
    own.isRepeated = this.isRepeated
    return own
  }
}

interface Outgoing {
  readonly message: ShowchainMessage
  readonly to: Endpoint
  readonly onSent?: ((isSent: boolean) => void) | undefined
}

/** Who may have signed the data of a session. */
export interface DataSender {
  readonly id: Uint8Array
  readonly key: PublicKey
}

/** Budgets of verifications: by source, and of all. */
export interface VerificationBudgets {
  perSource: TokenBucketInit
  total: TokenBucketInit
}

export interface PipelineInit {
  socket: DatagramSocket
  clock: Clock
  identity: Identity
  /** Handlers by name of the op code. Others are dropped. */
  handlers: Partial<Record<OpName, (received: Received) => void>>
  /**
   * The cheap checks of the node, before anything is verified: a cookie, which it may answer by a challenge; whether the target is known, whether the
   * answer belongs to a request.
   */
  admit? (received: Received): Refusal | undefined
  /** Whose 0x122 it must be: the id that is known of the proxy. */
  proxyId? (received: Received): Uint8Array | undefined
  /** Who sends a 0x123: an end of the session, from its registered endpoint. */
  dataSender? (received: Received): DataSender | undefined
  /** The messages of one read were handed over, or those of it that were taken by `takeData`. The memory of those without a signature is still theirs. */
  onRead? (): void
  /** Takes a datagram that begins as a message of data does, before it is read. Its memory may be reused after `onRead`, which follows at once. False: it is read as any other one. */
  takeData? (datagram: Datagram, now: number): boolean
  /** Packets of data, in order. Their memory may be reused once this has returned. */
  onData? (packets: Batch<Datagram>, now: number): void
  /** Op codes whose messages the node takes once by itself, as each answers one request of its own: they need no replay window. */
  takenOnce?: ReadonlySet<number>
  /** A 0x123 without data_hash is taken. */
  pageSignatures?: boolean
  /** Keys that have verified a message are remembered there. */
  keys?: PublicKeys
  stats?: PipelineStats
  windows?: ReplayWindowsInit
  /** Of all signed messages but 0x123. Default: 200 a second, 400 at once of one source; 20000 a second of all. */
  budgets?: Partial<VerificationBudgets>
  /** Of 0x123 signed by RSA. Default: 4000 a second of one source, 20000 a second of all. */
  dataBudgets?: Partial<VerificationBudgets>
  limits?: VerificationLimits
  /** False: nothing is done on other threads, so that a simulation is reproducible. Default: true. */
  threads?: boolean
}

const BUDGETS: VerificationBudgets = { perSource: { rate: 200, burst: 400 }, total: { rate: 20_000, burst: 5000 } }
const DATA_BUDGETS: VerificationBudgets = { perSource: { rate: 4000 }, total: { rate: 20_000, burst: 5000 } }

/** Sources with a bucket of their own. */
const MAX_SOURCES = 16_384

export class Pipeline {
  readonly stats: PipelineStats
  readonly keys: PublicKeys
  /** For datagrams of data, beside the messages. */
  readonly dataPort: PacketPort<Datagram>
  readonly #init: PipelineInit
  readonly #socket: SocketLink
  readonly #link: SignedLink<Received, Outgoing>
  /** Of messages that need no signature. */
  readonly #port: PacketPort<Outgoing>
  readonly #ownKey: string
  readonly #windows: ReplayWindows
  readonly #verified = new VerifiedSignatures()
  readonly #budget: Budget
  readonly #dataBudget: Budget
  readonly #dispatch: Handler<void, Received>

  constructor (init: PipelineInit) {
    const { socket, clock, identity, handlers, stats = pipelineStats(), keys = new PublicKeys(), limits, threads } = init
    this.#init = init
    this.stats = stats
    this.keys = keys
    this.#ownKey = idKey(identity.id)
    this.#windows = new ReplayWindows(init.windows)
    this.#budget = new Budget({ ...BUDGETS, ...init.budgets }, clock.now())
    this.#dataBudget = new Budget({ ...DATA_BUDGETS, ...init.dataBudgets }, clock.now())
    this.#socket = new SocketLink(socket)
    this.dataPort = this.#socket.port
    const messages = over(this.#socket, codec<Datagram, Received, Outgoing>(() => ({ decode: this.#decoder(), encode: this.#encoder() })))
    this.#port = messages.port
    this.#link = over(messages, signed<Received, Outgoing>({
      covered: { has: ({ message }) => covered.has(message), of: ({ message }) => covered.of(message) },
      signer: identity,
      signatureOf: ({ message }) => message.sign,
      withSignature: (outgoing, sign) => ({ ...outgoing, message: withSignature(outgoing.message, sign, identity) }),
      senderOf: (received) => received.from.host + (received.message.id === undefined ? '' : received.idKey), // by address, as nobody has proved the id so far
      admit: (received) => this.#admit(received),
      budget: (received, now) => this.#spend(received, now),
      keyOf: (received) => this.#keyOf(received),
      own: (received) => received.own(),
      onUnsent: ({ onSent }) => {
        this.stats.unsent++
        onSent?.(false)
      },
      onDrop: (_received, reason) => { this.#drop(reason as Drop) },
      clock,
      threads,
      ...limits
    }))
    const byOp = Object.fromEntries(Object.entries(handlers).map(([name, handler]) => [Op[name as OpName], handler]))
    this.#dispatch = typeDemux<void, Received>(byOp, { typeOf: ({ message }) => message.op, unknown: () => { this.#drop('unexpected') } })
  }

  /** Messages that wait to be verified, and to be signed. */
  get unverified (): number { return this.#link.unverified }
  get unsigned (): number { return this.#link.unsigned }

  /** Number of replay windows. */
  get windows (): number { return this.#windows.size }

  /** Another limit of replay windows of one address. */
  limitOwners (maxPerOwner: number): void { this.#windows.limitOwners(maxPerOwner) }

  /**
   * Reads the socket until it ends, or the signal is aborted.
   *
   * @throws what broke the socket, and what a handler throws
   */
  async run (signal?: AbortSignal): Promise<void> {
    await consume<Received>(this.#link, (batch) => {
      this.#socket.holdForTurn()
      for (const received of batch) this.#receive(received)
      this.#init.onRead?.()
    }, signal)
  }

  /**
   * Sends a message, after it was signed where it has to be and is not.
   *
   * @returns whether it was sent; a promise, where other threads sign
   */
  send (message: ShowchainMessage, to: Endpoint): boolean | Promise<boolean> {
    if (message.sign !== undefined || !covered.has(message)) return this.#hand(this.#port, { message, to })
    if (this.#init.threads === false) return this.#hand(this.#link.port, { message, to })
    return new Promise((resolve) => { if (!this.#hand(this.#link.port, { message, to, onSent: resolve })) resolve(false) })
  }

  #hand (port: PacketPort<Outgoing>, outgoing: Outgoing): boolean {
    const isTaken = port.send([outgoing]) > 0
    if (!isTaken) this.stats.unsent++
    return isTaken
  }

  #drop (reason: Drop): void { this.stats.drops[reason]++ }

  #decoder (): Core<Datagram, Received> {
    return {
      memory: 'passes',
      push: (batch) => {
        const init = this.#init
        const { takeData } = init
        const now = init.clock.now()
        const out: Batch<Received> = []
        let data: Batch<Datagram> | undefined
        let isTaken = false
        for (const datagram of batch) {
          const { data: bytes, host, port } = datagram
          const first = bytes[0]
          if (first === FirstByte.SEALED || first === FirstByte.HANDSHAKE) (data ??= []).push(datagram)
          else if (first !== FirstByte.MESSAGE && bytes.length > 0) this.#drop('datagram')
          else if (takeData !== undefined && isOfData(bytes) && takeData.call(init, datagram, now)) isTaken = true
          else {
            const message = readMessage(bytes)
            if (typeof message === 'string') this.#drop(message)
            else out.push(new Received(message, { host, port }, now, bytes))
          }
        }
        if (data !== undefined) this.#takeData(data, now)
        if (isTaken) init.onRead?.() // now: others may wait for a verification
        return out
      }
    }
  }

  #takeData (packets: Batch<Datagram>, now: number): void {
    const { onData } = this.#init
    if (onData === undefined) this.stats.drops.datagram += packets.length
    else onData.call(this.#init, packets, now)
  }

  #encoder (): Core<Outgoing, Datagram> {
    return {
      push: (batch) => batch.map(({ message, to: { host, port }, onSent }) => {
        this.stats.sent[opName(message.op) as OpName]++
        onSent?.(true)
        return { data: encodeMessage(message), host, port }
      })
    }
  }

  #admit (received: Received): Drop | undefined {
    const { message } = received
    const { id, op, ts, seq, sign, dataHash } = message
    if (id !== undefined && received.idKey === this.#ownKey) return 'own'
    const refusal = this.#init.admit?.(received)
    if (refusal !== undefined || sign === undefined) return refusal
    const date = this.#init.clock.date()
    if (!this.#windows.isFresh(ts, date)) return 'stale'
    if (op === Op.dataRequest && dataHash === undefined && this.#init.pageSignatures !== true) return 'hash'
    if (id === undefined || this.#isTakenOnce(op)) return undefined
    const novelty = this.#windows.check(windowOf(received, received.idKey), seq, date)
    received.isRepeated = novelty === 'repeated'
    return dropOf(novelty)
  }

  #isTakenOnce (op: number): boolean { return this.#init.takenOnce?.has(op) === true }

  #spend ({ message, source }: Received, now: number): boolean {
    if (message.sign?.length === HMAC_BYTES) return true
    return (message.op === Op.dataRequest ? this.#dataBudget : this.#budget).take(source, now)
  }

  #keyOf (received: Received): PublicKey | true | Drop {
    const { message } = received
    if (message.op === Op.dataRequest) return this.#dataKeyOf(received)
    const id = message.op === Op.proxyResponse ? this.#init.proxyId?.(received) : message.id
    if (id === undefined || message.key === undefined) return 'sender'
    const key = this.keys.read(message.key, id, id === message.id ? received.idKey : undefined)
    if (typeof key !== 'string') received.sender = key
    return key
  }

  #dataKeyOf (received: Received): PublicKey | true | Drop {
    const { message } = received
    const sender = this.#init.dataSender?.(received)
    if (sender === undefined || message.id === undefined || Buffer.compare(sender.id, message.id) !== 0) return 'sender'
    if (!isDataIntact(message)) return 'hash'
    if (message.sign?.length === HMAC_BYTES) return 'hmac' // a proxy takes those before they come here
    received.sender = sender.key
    return received.isRepeated && this.#verified.has(message, sender.key) ? true : sender.key
  }

  /** Takes a message that is authentic. */
  #receive (received: Received): void {
    const { message, sender } = received
    if (message.sign !== undefined) {
      const signer = message.id === undefined ? sender && idKey(sender.id) : received.idKey
      if (signer === undefined) return this.#drop('sender')
      if (!this.#isTakenOnce(message.op)) {
        const novelty = this.#windows.accept(windowOf(received, signer), message.seq, message.ts, this.#init.clock.date())
        const drop = dropOf(novelty)
        if (drop !== undefined) return this.#drop(drop)
        received.isRepeated = novelty === 'repeated'
      }
      if (sender !== undefined) {
        if (message.op === Op.dataRequest) this.#verified.add(message, sender)
        else this.keys.remember(sender, signer)
      }
    }
    this.stats.received[opName(message.op) as OpName]++
    this.#dispatch(received)
  }
}

const SESSION_IS_SIGNED: ReadonlySet<number> = new Set([Op.responseAck, Op.passResponseAck, Op.proxyResponse, Op.dataRequest])

const windowOf = ({ message: { op, session }, source }: Received, sender: string): WindowKey =>
  ({ sender, op, session: SESSION_IS_SIGNED.has(op) ? session : undefined, owner: source })

function dropOf (novelty: Novelty): Drop | undefined {
  if (novelty === 'full') return 'windows'
  return novelty === 'replay' ? 'replay' : undefined
}

const withSignature = (message: ShowchainMessage, sign: Uint8Array, { der }: Identity): ShowchainMessage => ({ ...message, sign, key: message.op === Op.dataRequest ? undefined : der })

/** What may be verified. */
class Budget {
  readonly #sources: SourceTokenBuckets
  readonly #total: TokenBucket

  constructor ({ perSource, total }: VerificationBudgets, now: number) {
    this.#sources = new SourceTokenBuckets({ ...perSource, maxKeys: MAX_SOURCES })
    this.#total = new TokenBucket(total, now)
  }

  take (source: string, now: number): boolean {
    if (!this.#sources.take(source, now)) return false // first, so that one source alone cannot use up what there is for all
    this.#total.refill(now)
    return this.#total.take(1)
  }
}
