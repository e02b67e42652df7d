/** Whether a 0x123 has the HMAC and the hash that it should have (SHOW CHAIN protocol, sections 2.4 and 6.3). Allocates nothing. */
import { timingSafeEqual } from 'node:crypto'
import { DIGEST_BYTES, type Hmac, type Sha256 } from '../../../crypto/index.ts'
import { writeU32 } from '../../../net/ipv4.ts'
import { signedBytes } from '../protocol/signatures.ts'
import { Op } from '../protocol/op.ts'

const ID_BYTES = 32
const SESSION_BYTES = 16
const LENGTH_BYTES = 2
const NUMBER_BYTES = 8
const WORD = 2 ** 32

export class CoveredData {
  readonly #sha256: Sha256
  /** What is signed; all but the values is the same for each message. */
  readonly #covered = signedBytes({
    op: Op.dataRequest, target: new Uint8Array(ID_BYTES), session: new Uint8Array(SESSION_BYTES), seq: 0, ts: 0, dataHash: new Uint8Array(DIGEST_BYTES)
  })

  readonly #hashAt = this.#covered.length - DIGEST_BYTES
  readonly #tsAt = this.#hashAt - LENGTH_BYTES - NUMBER_BYTES
  readonly #seqAt = this.#tsAt - LENGTH_BYTES - NUMBER_BYTES
  readonly #sessionAt = this.#seqAt - LENGTH_BYTES - SESSION_BYTES
  readonly #targetAt = this.#sessionAt - LENGTH_BYTES - ID_BYTES
  readonly #digest = new Uint8Array(DIGEST_BYTES)

  constructor (sha256: Sha256) { this.#sha256 = sha256 }

  hasHash (data: Uint8Array, dataHash: Uint8Array): boolean {
    this.#sha256.digest(data, 0, data.length, this.#digest, 0)
    return Buffer.compare(this.#digest, dataHash) === 0
  }

  /** The values are those of the session; compared in constant time. @param sign 32 bytes */
  hasHmac (hmac: Hmac, { target, session, seq, ts, dataHash, sign }: { target: Uint8Array, session: Uint8Array, seq: number, ts: number, dataHash: Uint8Array, sign: Uint8Array }): boolean {
    const covered = this.#covered
    covered.set(target, this.#targetAt)
    covered.set(session, this.#sessionAt)
    writeNumber(covered, this.#seqAt, seq)
    writeNumber(covered, this.#tsAt, ts)
    covered.set(dataHash, this.#hashAt)
    hmac.sign(covered, 0, covered.length, this.#digest, 0)
    return timingSafeEqual(this.#digest, sign)
  }
}

function writeNumber (bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, Math.floor(value / WORD))
  writeU32(bytes, at + 4, value >>> 0)
}
