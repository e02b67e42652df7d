/**
 * The registered peers, in `db_v2.sqlite3` as the original server has it: either opens what the other has left, `-wal` and `-shm` included.
 *
 * - A row is known by its id. The first `put` of an id makes a row with a new guid; later ones change `pk` and `info` alone.
 * - The uuid of a row never changes, as with the original: it is what tells the owner of an id from others. A `put` with another one fails,
 *   where the original would answer OK and write the rest. Columns that no server writes (`user`, `status`, `note`) are kept.
 * - `put` settles when its row is on the disk. What is asked for in one turn is one transaction, as is what comes while that is written.
 * - A `put` that has failed may be repeated; it may have been written all the same.
 * - When the file is removed or replaced, all requests fail until the program starts again, as caches above would still have the old rows.
 */
import { once, type EventEmitter } from 'node:events'
import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { throttle } from '../../../limits/throttle.ts'
import { silent, type Logger } from '../../../log.ts'
import { PeerStoreError } from './errors.ts'
import type { PeerRecord } from './peer-record.ts'
import { errorOf, faultOf, type StoreAnswer, type StoreCommand, type StoreEvent, type StoreRequest, type ThreadInit } from './messages.ts'

/** UTF-16 units of an id, which the schema has for it. */
export const LONGEST_ID = 100

/** Bytes of a uuid or a key that is stored. Clients send up to some 40. */
export const LONGEST_BLOB = 1024

/** UTF-16 units of an address. */
const LONGEST_IP = 64

/** Milliseconds, the setting of the original. */
const LOCK_TIMEOUT = 5000

const MAX_ROWS = 10_000_000
const MAX_QUEUED = 10_000
const MAX_QUEUED_BYTES = 8 << 20

/** Bytes that a request takes besides its id and its values, about. */
const REQUEST_SIZE = 200

export type { PeerRecord }

/** Options of {@link openPeerStore}. */
export interface PeerStoreInit {
  path: string
  /** Default: silent. */
  log?: Logger
  /** Milliseconds that a request, or the start, waits while another program has locked the database. Default: 5 s. */
  lockTimeout?: number
  /** Rows that there may be; those that are there can still be changed. Default: 10,000,000, which take some 3 GB. */
  maxRows?: number
  /** Requests that may wait. Default: 10000. */
  maxQueued?: number
  /** Bytes that they may take together. Default: 8 MiB. */
  maxQueuedBytes?: number
}

/** What is needed of a worker. */
export interface StoreThread extends EventEmitter {
  postMessage (command: StoreCommand): void
  terminate (): Promise<unknown>
}

interface Pending {
  size: number
  resolve: (answer: StoreAnswer) => void
  reject: (err: Error) => void
}

/**
 * Opens the database of peers, and makes one where there is no file.
 *
 * @throws {PeerStoreError} when that is not possible; the file is as it was then
 */
export async function openPeerStore (init: PeerStoreInit): Promise<PeerStore> {
  const { path, lockTimeout = LOCK_TIMEOUT, maxRows = MAX_ROWS } = init
  // the file next to this one, in source or compiled form
  const file = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url)
  return await storeOf(new Worker(file, { name: 'rustdesk store', workerData: { path: resolve(path), lockTimeout, maxRows } satisfies ThreadInit }), init)
}

/** @internal The store of a thread that opens a database, or of what stands for one. */
export async function storeOf (thread: StoreThread, init: PeerStoreInit): Promise<PeerStore> {
  const ended = once(thread, 'exit').then(() => [{ type: 'failed', fault: faultOf(new Error('the thread of the database has ended')) }])
  const [event] = await Promise.race([once(thread, 'message'), ended]).catch((err: unknown) => [{ type: 'failed', fault: faultOf(err) }]) as [StoreEvent]
  if (event.type !== 'failed') return new PeerStore(thread, init)
  await thread.terminate()
  throw errorOf(event.fault)
}

/** The database of peers, which a thread has: see {@link openPeerStore}. */
export class PeerStore {
  readonly #thread: StoreThread
  readonly #maxQueued: number
  readonly #maxQueuedBytes: number
  readonly #exited: Promise<void>
  /** Logs failures of the database, as each client that registers would cause a line. */
  readonly #tell: (err: Error) => void
  readonly #pending = new Map<number, Pending>()
  #outbox: StoreRequest[] = []
  #next: NodeJS.Immediate | undefined
  #number = 0
  #queuedBytes = 0
  /** Why no request is taken any more. */
  #end: PeerStoreError | undefined

  /** @internal by {@link openPeerStore} */
  constructor (thread: StoreThread, { log = silent, maxQueued = MAX_QUEUED, maxQueuedBytes = MAX_QUEUED_BYTES }: PeerStoreInit) {
    this.#thread = thread
    this.#maxQueued = maxQueued
    this.#maxQueuedBytes = maxQueuedBytes
    this.#tell = throttle((err, failures) => { log.error({ err, failures }, 'the database of peers has failed') })
    thread.on('message', (event: StoreEvent) => { this.#onEvent(event) })
    thread.on('error', (err) => { this.#fail(new PeerStoreError('ERR_PEER_STORE_FAULT', `the thread of the database has failed: ${String(err?.message)}`)) })
    this.#exited = new Promise((resolve) => {
      thread.once('exit', () => {
        this.#fail(new PeerStoreError('ERR_PEER_STORE_CLOSED', 'the thread of the database has ended'))
        resolve()
      })
    })
  }

  /** Requests that wait for an answer, and the bytes that are counted for them. */
  get queued (): { requests: number, bytes: number } { return { requests: this.#pending.size, bytes: this.#queuedBytes } }

  /** The peer of an id. It sees each `put` that has settled before. */
  async find (id: string): Promise<PeerRecord | undefined> {
    checkId(id)
    const { found } = await this.#ask({ type: 'find', id }, id.length)
    return found === undefined ? undefined : { id, ...found }
  }

  /** Writes a peer; settles when it is durable. */
  async put ({ id, uuid, pk, ip }: PeerRecord): Promise<void> {
    checkId(id)
    checkBlob('uuid', uuid)
    checkBlob('key', pk)
    if (ip.length > LONGEST_IP) throw new PeerStoreError('ERR_PEER_STORE_RECORD', `an address has ${LONGEST_IP} characters at most`)
    // copies: views would bring the whole buffer that they are of to the thread, and its owner may reuse it
    const row = { id, uuid: new Uint8Array(uuid), pk: new Uint8Array(pk), info: JSON.stringify({ ip }) }
    await this.#ask({ type: 'put', row }, id.length + uuid.length + pk.length + ip.length)
  }

  /** Number of peers. */
  async count (): Promise<number> {
    const { count } = await this.#ask({ type: 'count' }, 0)
    return count as number
  }

  /** Takes no more requests, and settles once those that wait are done. */
  async close (): Promise<void> {
    if (this.#end === undefined) {
      this.#flush()
      this.#end = new PeerStoreError('ERR_PEER_STORE_CLOSED', 'the database of peers is closed')
      this.#post('close')
    }
    await this.#exited
  }

  #ask (what: { type: 'find', id: string } | { type: 'count' } | Omit<Extract<StoreRequest, { type: 'put' }>, 'n'>, bytes: number): Promise<StoreAnswer> {
    const size = REQUEST_SIZE + bytes
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) return reject(this.#end)
      if (this.#pending.size >= this.#maxQueued || this.#queuedBytes + size > this.#maxQueuedBytes) {
        return reject(new PeerStoreError('ERR_PEER_STORE_BUSY', `${this.#pending.size} requests of ${this.#queuedBytes} bytes wait for the database of peers`))
      }
      const n = this.#number++
      this.#pending.set(n, { size, resolve, reject })
      this.#queuedBytes += size
      this.#outbox.push({ n, ...what })
      this.#next ??= setImmediate(() => { this.#flush() })
    })
  }

  /** Sends what was asked for in this turn, as one message. */
  #flush (): void {
    clearImmediate(this.#next)
    this.#next = undefined
    if (this.#outbox.length > 0) this.#post(this.#outbox)
    this.#outbox = []
  }

  #post (command: StoreCommand): void { this.#thread.postMessage(command) }

  #onEvent (event: StoreEvent): void {
    if (event.type === 'failed') this.#tell(errorOf(event.fault))
    if (event.type !== 'answers') return
    for (const answer of event.answers) {
      const request = this.#take(answer.n)
      if (answer.fault === undefined) request?.resolve(answer)
      else {
        const err = errorOf(answer.fault)
        if (err.code !== 'ERR_PEER_STORE_UUID') this.#tell(err)
        request?.reject(err)
      }
    }
  }

  #take (n: number): Pending | undefined {
    const request = this.#pending.get(n)
    this.#pending.delete(n)
    this.#queuedBytes -= request?.size ?? 0
    return request
  }

  #fail (err: PeerStoreError): void {
    if (this.#end === undefined) this.#tell(err)
    this.#end ??= err
    for (const n of [...this.#pending.keys()]) this.#take(n)?.reject(err)
  }
}

function checkId (id: string): void {
  if (id === '' || id.length > LONGEST_ID) throw new PeerStoreError('ERR_PEER_STORE_RECORD', `an id has 1 to ${LONGEST_ID} characters`)
  if (/\p{Surrogate}/u.test(id)) throw new PeerStoreError('ERR_PEER_STORE_RECORD', 'an id is Unicode') // a lone one would be stored as another character
}

function checkBlob (what: string, { length }: Uint8Array): void {
  if (length === 0 || length > LONGEST_BLOB) throw new PeerStoreError('ERR_PEER_STORE_RECORD', `a ${what} has 1 to ${LONGEST_BLOB} bytes`)
}
