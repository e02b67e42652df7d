/** Writes the 0x123 of one proxy session (SHOW CHAIN protocol, sections 2 and 6). All but a few fields are the same each time, so they are copied from a template. */
import { DIGEST_BYTES, type Sha256 } from '../../../crypto/index.ts'
import type { CoveredData } from '../protocol/covered-data.ts'
import { encodeMessage, MAX_MESSAGE } from '../protocol/messages.ts'
import { Op } from '../protocol/op.ts'

/** Bytes of the largest numbers, as they are encoded: of 53 and of 49 bits. */
const SEQ_BYTES = 8
const TS_BYTES = 7

/** Tags of the fields that change, in front of their values. */
const Tag = { SEQ: 0x20, TS: 0x28, SESSION: 0x32, DATA: 0x4a, SIGN: 0x52, DATA_HASH: 0x62 } as const

/** Messages of one block of memory. */
const SLAB = 64 << 10

export interface DataRequestsInit {
  sha256: Sha256
  /** Of this session; written to by each request. */
  covered: CoveredData
  /** 32 bytes each: of the sender, and of the other end of the session. */
  id: Uint8Array
  target: Uint8Array
  /** 16 bytes. */
  session: Uint8Array
  /** Without hashes of the data, as on the page. */
  pageSignatures: boolean
}

/** A 0x123 whose signature is not in it yet. */
export interface DataRequest {
  readonly bytes: Uint8Array
  readonly signAt: number
}

export class DataRequests {
  readonly #sha256: Sha256
  readonly #covered: CoveredData
  readonly #head: Uint8Array
  readonly #session: Uint8Array
  readonly #pageSignatures: boolean
  #slab: Uint8Array = new Uint8Array(0)
  #used = 0

  constructor ({ sha256, covered, id, target, session, pageSignatures }: DataRequestsInit) {
    this.#sha256 = sha256
    this.#covered = covered
    this.#head = encodeMessage({ op: Op.dataRequest, id, target, seq: 0, ts: 0 })
    this.#session = session
    this.#pageSignatures = pageSignatures
  }

  /** The longest data with a signature of so many bytes. */
  maxData (signBytes: number): number {
    const fields = this.#head.length + 1 + SEQ_BYTES + 1 + TS_BYTES + 2 + this.#session.length + 3 + lengthSize(signBytes) + 1 + signBytes
    return MAX_MESSAGE - fields - (this.#pageSignatures ? 0 : 2 + DIGEST_BYTES)
  }

  /** @param data at most `maxData(signBytes)` bytes; copied */
  write (data: Uint8Array, seq: number, ts: number, signBytes: number): DataRequest {
    const bytes = this.#memory()
    const begin = this.#used
    bytes.set(this.#head, begin)
    let at = writeVarint(bytes, begin + this.#head.length, Tag.SEQ, seq)
    at = writeVarint(bytes, at, Tag.TS, ts)
    at = writeBytes(bytes, at, Tag.SESSION, this.#session)
    at = writeBytes(bytes, at, Tag.DATA, data)
    const signAt = writeVarint(bytes, at, Tag.SIGN, signBytes)
    at = signAt + signBytes
    let hash = 0
    if (!this.#pageSignatures) {
      hash = writeVarint(bytes, at, Tag.DATA_HASH, DIGEST_BYTES)
      at = hash + DIGEST_BYTES
      this.#sha256.digest(data, 0, data.length, bytes, hash)
    }
    this.#covered.write(seq, ts, bytes, hash)
    this.#used = at
    return { bytes: bytes.subarray(begin, at), signAt: signAt - begin }
  }

  /** Has room for a message from `#used` on. */
  #memory (): Uint8Array {
    if (this.#used + MAX_MESSAGE > this.#slab.length) {
      this.#slab = new Uint8Array(Buffer.allocUnsafeSlow(SLAB).buffer)
      this.#used = 0
    }
    return this.#slab
  }
}

const lengthSize = (length: number): number => length < 0x80 ? 1 : 2

function writeVarint (into: Uint8Array, at: number, tag: number, value: number): number {
  into[at++] = tag
  let rest = value
  while (rest >= 0x80) {
    into[at++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  into[at] = rest
  return at + 1
}

function writeBytes (into: Uint8Array, at: number, tag: number, value: Uint8Array): number {
  const begin = writeVarint(into, at, tag, value.length)
  into.set(value, begin)
  return begin + value.length
}
