/** What acknowledges the 0x124 of one proxy session (SHOW CHAIN protocol, section 6.2). */
import type { ReplayWindow } from '../../../crypto/index.ts'
import type { Batch } from '../../../types.ts'
import { firstArrived, hasArrived } from '../protocol/arrived.ts'
import { ARRIVED_BYTES } from '../protocol/field-table.ts'
import { encodeMessage } from '../protocol/messages.ts'
import { Op } from '../protocol/op.ts'

/** Of a 0x124. */
interface Passed {
  readonly seq: number
  readonly ts: number
}

export interface DataAcksInit {
  /** 16 bytes. */
  session: Uint8Array
  /** The numbers that have come. */
  received: ReplayWindow
  /** A 0x125 for each 0x124, as on the page. */
  isSingle: boolean
}

export class DataAcks {
  readonly #init: DataAcksInit
  readonly #arrived = new Uint8Array(ARRIVED_BYTES)
  #messages: Passed[] = []

  constructor (init: DataAcksInit) { this.#init = init }

  /** A 0x124 has come, which is in the window when `write` is called, or older than that. */
  add (seq: number, ts: number): void { this.#messages.push({ seq, ts }) }

  /** Adds what acknowledges those since the last call. */
  write (out: Batch): void {
    const { received, isSingle } = this.#init
    const messages = this.#messages
    this.#messages = []
    const arrived = this.#arrived
    let first = Infinity
    if (!isSingle) messages.sort((a, b) => b.seq - a.seq)
    for (const message of messages) {
      const { seq } = message
      if (isSingle) {
        this.#put(message, undefined, out)
      } else if (seq < first) {
        first = firstArrived(seq)
        received.copyBits(seq, arrived, 0, ARRIVED_BYTES)
        this.#put(message, arrived, out)
      } else if (!hasArrived(arrived, seq - first)) {
        this.#put(message, undefined, out)
      }
    }
  }

  #put ({ seq, ts }: Passed, arrived: Uint8Array | undefined, out: Batch): void {
    out.push(encodeMessage({ op: Op.dataAck, session: this.#init.session, seq, ts, data: arrived }))
  }
}
