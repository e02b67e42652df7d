/** What acknowledges the 0x124 of one proxy session (SHOW CHAIN protocol, section 6.2). */
import type { ReplayWindow } from '../../../crypto/index.ts'
import type { Batch } from '../../../types.ts'
import { firstArrived, hasArrived } from '../protocol/arrived.ts'
import { ARRIVED_BYTES } from '../protocol/field-table.ts'
import { encodeMessage, type ShowchainMessage } from '../protocol/messages.ts'
import { Op } from '../protocol/op.ts'

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

  constructor (init: DataAcksInit) { this.#init = init }

  /** Adds what acknowledges the messages of one read, all of which are in the window, or older than that. Sorts them. */
  write (messages: Batch<ShowchainMessage>, out: Batch): void {
    const { received, isSingle } = this.#init
    const arrived = this.#arrived
    let first = Infinity
    if (!isSingle) messages.sort((a, b) => b.seq - a.seq)
    for (const message of messages) {
      const { seq } = message
      if (isSingle) {
        this.#add(message, undefined, out)
      } else if (seq < first) {
        first = firstArrived(seq)
        received.copyBits(seq, arrived, 0, ARRIVED_BYTES)
        this.#add(message, arrived, out)
      } else if (!hasArrived(arrived, seq - first)) {
        this.#add(message, undefined, out)
      }
    }
  }

  #add ({ seq, ts }: ShowchainMessage, arrived: Uint8Array | undefined, out: Batch): void {
    out.push(encodeMessage({ op: Op.dataAck, session: this.#init.session, seq, ts, data: arrived }))
  }
}
