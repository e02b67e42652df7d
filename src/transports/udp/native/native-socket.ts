/** A UDP socket of Linux that is read and written in batches, by the C library. */
import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import type { MessageReader } from './message-reader.ts'
import type { NativeUdp, OpenedSocket } from './native-udp.ts'
import { Outgoing } from './outgoing.ts'
import { newUdpErrors, type UdpErrors } from '../errors.ts'
import { DatagramQueue } from '../queue.ts'
import type { UdpOffload, UdpSocket, VerifiedUdpInit } from '../socket.ts'
import { LinkBusyError } from '../../../errors.ts'
import { holdProcess, type PollHandle } from '../../../net/native/poller.ts'
import { localEndpoint } from '../../../net/native/socket-address.ts'
import { PMTUDISC_PROBE, PMTUDISC_WANT, SO_MEMINFO, SOL_SOCKET } from '../../../net/native/socket-numbers.ts'
import { Flow } from '../../../streams/flow.ts'
import type { Batch, Datagram, Endpoint, PacketPort, Take } from '../../../types.ts'

const { EAGAIN } = constants.errno

/** Calls for one event of the poller, and datagrams after which there is none any more: then others have their turn. */
const MOST_READS = 16
const MOST_DATAGRAMS = 1024

/** The counters of `SO_MEMINFO`; the last one is that of dropped messages, of which one may be a group of datagrams. */
const meminfo = new Uint32Array(9)
const meminfoBytes = new Uint8Array(meminfo.buffer)
const meminfoLength = new Uint32Array(1)
const meminfoLengthBytes = new Uint8Array(meminfoLength.buffer)
const DROPS = 8

const busy = (): Error => new LinkBusyError('a socket has one reader, and it is waiting already')

export class NativeUdpSocket implements UdpSocket {
  readonly local: Endpoint
  readonly receiveLimit: number
  readonly errors: UdpErrors
  readonly source: AsyncIterable<Batch<Datagram>> = {
    [Symbol.asyncIterator]: () => {
      if (this.#isRead) throw busy()
      return this.#incoming[Symbol.asyncIterator]()
    }
  }

  readonly #udp: NativeUdp
  readonly #fd: number
  readonly #family: OpenedSocket['family']
  #fragments: boolean
  readonly #pollHandle: PollHandle
  readonly #letGo: () => void
  readonly #outgoing: Outgoing
  readonly #incoming: DatagramQueue<Datagram>
  #isRead = false
  /** Reads in place of the queue. */
  #flow: Flow<Datagram> | undefined
  /** Its memory is in use by a busy reader. */
  #lent: MessageReader | undefined
  #droppedByKernel = 0
  #isClosed = false
  /** Why it was aborted. */
  #reason: Error | undefined

  constructor (udp: NativeUdp, opened: OpenedSocket, { sendLimit, receiveLimit, errors = newUdpErrors() }: VerifiedUdpInit) {
    this.#udp = udp
    this.#fd = opened.fd
    this.local = localEndpoint(udp.libc, opened.fd)
    this.receiveLimit = receiveLimit
    this.#fragments = opened.fragments
    this.#family = opened.family
    this.errors = errors
    this.#incoming = new DatagramQueue(receiveLimit, ({ data }) => data.length)
    this.#pollHandle = udp.poller.watch(opened.fd, (err) => {
      if (err === undefined) this.#ready()
      else this.abort(err)
    })
    this.#outgoing = new Outgoing({ udp, opened, limit: sendLimit, errors, pollHandle: this.#pollHandle })
    this.#pollHandle.start()
    this.#letGo = holdProcess()
  }

  get port (): PacketPort<Datagram> { return this.#outgoing }

  get offloads (): readonly UdpOffload[] { return this.#outgoing.offloads }

  get fragments (): boolean { return this.#fragments }

  allowFragments (isAllowed: boolean): void {
    if (isAllowed !== this.#fragments && !this.#isClosed && this.#udp.discoverMtu(this.#fd, this.#family, isAllowed ? PMTUDISC_WANT : PMTUDISC_PROBE)) this.#fragments = isAllowed
  }

  get reduced (): string | undefined { return this.#outgoing.reduced }

  get dropped (): number {
    this.#countDrops()
    return this.#incoming.dropped + this.#droppedByKernel
  }

  /** The memory of a batch is used again for the next one. */
  async flow (take: Take<Datagram>, signal?: AbortSignal): Promise<void> {
    if (this.#isRead || this.#incoming.isAwaited) throw busy()
    this.#isRead = true
    this.#pollHandle.stop()
    try {
      const reads = this.#incoming[Symbol.asyncIterator]()
      const isEarly = signal?.aborted !== true && (this.#incoming.size > 0 || this.#isClosed) // what has come before comes first
      const early = isEarly ? await reads.next() : undefined
      if (this.#reason !== undefined) throw this.#reason
      if (early?.done === true) return
      const flow = this.#flow = new Flow(take, {
        onBusy: () => { this.#pollHandle.stop() },
        onPull: () => { this.#goOn() },
        onReturn: () => {}
      })
      if (early !== undefined) flow.pushBatch(early.value)
      if (this.#isClosed) flow.end()
      else if (flow.size === 0) this.#pollHandle.start()
      await flow.until(signal)
    } finally {
      this.#isRead = false
      this.#flow = undefined
      this.#lent = undefined // not given back: a reader that was left may still use it
      this.#pollHandle.start()
    }
  }

  close (): void {
    this.#incoming.end()
    this.#flow?.end()
    this.#close()
  }

  abort (err: Error): void {
    this.#reason ??= err
    this.#incoming.fail(err)
    this.#flow?.discard()
    this.#flow?.fail(err)
    this.#close()
  }

  #close (): void {
    if (this.#isClosed) return
    this.#countDrops()
    this.#isClosed = true
    this.#outgoing.close()
    this.#letGo()
    const closing = this.#pollHandle.close()
    if (closing === undefined) closeSync(this.#fd)
    else void closing.then(() => { closeSync(this.#fd) })
  }

  /** Reads what has come. */
  #ready (): void {
    const reader = this.#udp.borrowReader()
    for (let reads = 0, datagrams = 0; reads < MOST_READS && datagrams < MOST_DATAGRAMS && !this.#isClosed && this.#lent === undefined; reads++) {
      if (!reader.read(this.#fd)) {
        // Woken for nothing, or the call has told an error: there may be more.
        if (reads === 0 || this.#udp.libc.errno() !== EAGAIN) this.#udp.errorQueue.count(this.#fd, this.errors)
        break
      }
      const flow = this.#flow
      if (flow === undefined || flow.closed) {
        datagrams += reader.moveTo(this.#incoming)
      } else {
        const batch = reader.lend()
        datagrams += batch.length
        flow.pushBatch(batch)
        if (flow.size > 0) this.#lent = reader
      }
      if (reader.isSingle) break
    }
    this.#incoming.flush()
    if (this.#lent !== reader) this.#udp.giveBack(reader)
  }

  #goOn (): void {
    if (this.#lent !== undefined) this.#udp.giveBack(this.#lent)
    this.#lent = undefined
    this.#pollHandle.start()
  }

  #countDrops (): void {
    if (this.#isClosed) return
    meminfoLength[0] = meminfoBytes.length
    if (this.#udp.libc.getsockopt(this.#fd, SOL_SOCKET, SO_MEMINFO, meminfoBytes, meminfoLengthBytes) === 0) this.#droppedByKernel = meminfo[DROPS]
  }
}
