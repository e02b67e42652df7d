/** R and T with a pair each, on a virtual clock, and transfers between them. */
import { createHash } from 'node:crypto'
import { loadSealing, loadSha256 } from '../../../src/crypto/index.ts'
import { Indexes } from '../../../src/nodes/showchain/peer/indexes.ts'
import { RequesterPair, TargetPair, type RequesterPairInit, type TargetPairInit } from '../../../src/nodes/showchain/peer/pair.ts'
import { VirtualClock } from '../../../src/streams/virtual-clock.ts'
import { random } from '../bytes.ts'
import { instant, InstantKeys } from './instant.ts'
import { identity } from './keys.ts'
import { MemoryProxy, pathPair, type Conditions, type MemoryPath, type ProxyPairInit } from './paths.ts'
import type { Path, PathKind } from '../../../src/nodes/showchain/peer/paths.ts'
import type { Batch, Link } from '../../../src/types.ts'

export const DATE = 1_700_000_000_000

const sha256 = await loadSha256()
const sealing = await loadSealing()

export const fraction = (seed: number): () => number => {
  const below = random(seed)
  return () => below(2 ** 31) / 2 ** 31
}

export interface PairsInit {
  seed?: number
  requester?: Partial<RequesterPairInit>
  target?: Partial<TargetPairInit>
}

/** R has key a, T key b. T accepts every link, and puts it into `accepted`. */
export class Pairs {
  readonly clock = new VirtualClock({ date: DATE })
  readonly random: () => number
  readonly target: TargetPair
  requester: RequesterPair
  readonly accepted: Link[] = []
  /** What was told of each end. */
  readonly ended: Array<Error | undefined> = []
  readonly sessions: Array<[isOpen: boolean, err: Error | undefined]> = []
  readonly altered: Array<[end: 'requester' | 'target', path: Path]> = []
  readonly chosen: Array<[end: 'requester' | 'target', path: Path | undefined]> = []
  /** Paths whose proxy has failed, with the error. */
  readonly failed: Array<[end: number, err: Error]> = []
  readonly #init: PairsInit

  constructor (init: PairsInit = {}) {
    this.#init = init
    this.random = fraction(init.seed ?? 3)
    this.target = new TargetPair({
      ...this.#common('target'),
      identity: instant(identity('b')),
      other: identity('a').id,
      onOpen: (opening) => { this.accepted.push(opening.accept(new Uint8Array(0))) },
      onSession: (isOpen, err) => { this.sessions.push([isOpen, err]) },
      ...init.target
    })
    this.requester = this.newRequester()
  }

  /** R as after a restart. */
  newRequester (): RequesterPair {
    this.requester = new RequesterPair({
      ...this.#common('requester'),
      identity: instant(identity('a')),
      other: identity('b').id,
      onEnded: (err) => { this.ended.push(err) },
      ...this.#init.requester
    })
    return this.requester
  }

  /** A path between both, known to both. */
  addPath (kind: PathKind, conditions?: Conditions, maxDatagram?: number): [MemoryPath, MemoryPath] {
    const ends = pathPair(this.clock, this.random, kind, conditions, maxDatagram)
    const [here, there] = ends
    here.receiver = { receive: (packets, path, now) => { this.requester.receive(packets, path, now) } }
    there.receiver = this.target
    this.target.addPath(there)
    this.requester.addPath(here)
    return ends
  }

  addProxy (conditions: Conditions = {}, more: Partial<ProxyPairInit> = {}): MemoryProxy {
    const { clock, random } = this
    const proxy = new MemoryProxy({
      clock,
      random,
      sha256,
      identities: [instant(identity('a')), instant(identity('b'))],
      conditions,
      hmac: true,
      onFailed: (end, err, path) => {
        this.failed.push([end, err])
        const pair = [this.requester, this.target][end]
        pair.removePath(path, err)
      },
      ...more
    })
    proxy.receivers[0] = { receive: (packets, path, now) => { this.requester.receive(packets, path, now) } }
    proxy.receivers[1] = this.target
    this.target.addPath(proxy.ends[1])
    this.requester.addPath(proxy.ends[0])
    return proxy
  }

  async open (): Promise<[Link, Link]> {
    const count = this.accepted.length
    const here = await this.clock.until(this.requester.open())
    return [here, this.accepted[count]]
  }

  #common (end: 'requester' | 'target') {
    return {
      clock: this.clock,
      sealing,
      keys: new InstantKeys(),
      indexes: new Indexes(),
      random: this.random,
      onPathChosen: (path: Path | undefined) => { this.chosen.push([end, path]) },
      onAltered: (path: Path) => {
        this.altered.push([end, path])
        path.close()
      }
    }
  }
}

const PIECE = 16 << 10

/** Bytes that differ, piece by piece. */
export async function * bytesOf (size: number, seed = 1): AsyncGenerator<Batch> {
  const below = random(seed)
  for (let at = 0; at < size; at += PIECE) {
    const piece = Buffer.alloc(Math.min(PIECE, size - at))
    for (let i = 0; i + 4 <= piece.length; i += 4) piece.writeUInt32LE(below(2 ** 32), i)
    yield [piece]
  }
}

async function digest (source: AsyncIterable<Batch>, onProgress?: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const batch of source) {
    for (const piece of batch) {
      hash.update(piece)
      bytes += piece.length
    }
    onProgress?.(bytes)
  }
  return `${bytes} ${hash.digest('hex')}`
}

export interface Transferred {
  sent: string
  received: string
}

/** Sends so many bytes from one end to the other, and the end. @param onProgress called with the bytes that have come */
export async function transfer (from: Link, to: Link, size: number, onProgress?: (bytes: number) => void): Promise<Transferred> {
  const [received, , sent] = await Promise.all([digest(to.source, onProgress), from.sink(bytesOf(size)), digest(bytesOf(size))])
  return { sent, received }
}
