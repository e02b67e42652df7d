/** What the signature of a 0x123 covers, written in place, and what is checked with it (SHOW CHAIN protocol, sections 2.4 and 6.3). Allocates nothing. */
import { timingSafeEqual } from 'node:crypto'
import { DIGEST_BYTES, type Hmac, type Sha256 } from '../../../crypto/index.ts'
import { writeU64 } from '../../../net/ipv4.ts'
import { isAt, type DataFields } from './data-fields.ts'
import { HMAC_BYTES, ID_BYTES, SESSION_BYTES } from './field-table.ts'
import { Op } from './op.ts'
import { signedBytes } from './signatures.ts'

const LENGTH_BYTES = 2
const NUMBER_BYTES = 8

export interface CoveredDataInit {
  /** 32 bytes. Default: as of the last message that was checked. */
  target?: Uint8Array
  /** 16 bytes; the same. */
  session?: Uint8Array
  /** False: without a hash of the data, as on the page. Default: true. */
  hasHash?: boolean
}

export class CoveredData {
  /** What is signed; all but the values is the same for each message. */
  readonly bytes: Uint8Array
  readonly #sha256: Sha256
  readonly #hashAt: number
  readonly #tsAt: number
  readonly #seqAt: number
  readonly #sessionAt: number
  readonly #targetAt: number
  readonly #digest = new Uint8Array(DIGEST_BYTES)
  readonly #sign = new Uint8Array(HMAC_BYTES)

  constructor (sha256: Sha256, { target = new Uint8Array(ID_BYTES), session = new Uint8Array(SESSION_BYTES), hasHash = true }: CoveredDataInit = {}) {
    this.#sha256 = sha256
    this.bytes = signedBytes({ op: Op.dataRequest, target, session, seq: 0, ts: 0, ...hasHash && { dataHash: this.#digest } })
    this.#hashAt = this.bytes.length - (hasHash ? DIGEST_BYTES : -LENGTH_BYTES)
    this.#tsAt = this.#hashAt - LENGTH_BYTES - NUMBER_BYTES
    this.#seqAt = this.#tsAt - LENGTH_BYTES - NUMBER_BYTES
    this.#sessionAt = this.#seqAt - LENGTH_BYTES - SESSION_BYTES
    this.#targetAt = this.#sessionAt - LENGTH_BYTES - ID_BYTES
  }

  /** Whether a message has the hash of its data. */
  hasHash (message: Uint8Array, { data, dataLength, dataHash }: DataFields): boolean {
    if (dataHash === 0) return false
    this.#sha256.digest(message, data, dataLength, this.#digest, 0)
    return isAt(message, dataHash, this.#digest)
  }

  /** Whether the HMAC of a 0x123 with data_hash is right; compared in constant time. */
  hasHmac (hmac: Hmac, message: Uint8Array, { target, session, seq, ts, dataHash, sign }: DataFields): boolean {
    const { bytes } = this
    copy(message, target, bytes, this.#targetAt, ID_BYTES)
    copy(message, session, bytes, this.#sessionAt, SESSION_BYTES)
    copy(message, sign, this.#sign, 0, HMAC_BYTES)
    this.write(seq, ts, message, dataHash)
    hmac.sign(bytes, 0, bytes.length, this.#digest, 0)
    return timingSafeEqual(this.#digest, this.#sign)
  }

  /** @param dataHash where it begins in the message; 0: without one */
  write (seq: number, ts: number, message: Uint8Array, dataHash: number): void {
    writeU64(this.bytes, this.#seqAt, seq)
    writeU64(this.bytes, this.#tsAt, ts)
    if (dataHash !== 0) copy(message, dataHash, this.bytes, this.#hashAt, DIGEST_BYTES)
  }
}

/** Of a few bytes, for which a view would cost more. */
function copy (from: Uint8Array, at: number, into: Uint8Array, to: number, length: number): void {
  for (let i = 0; i < length; i++) into[to + i] = from[at + i]
}
