/**
 * Where the fields of a data message (0x123, 0x124, 0x125) are, without an object for each. Only of messages as writers write them (SHOW CHAIN
 * protocol, section 2.2): fields in ascending order, each once, numbers in their shortest form, none that the message does not have.
 */
import { FirstByte } from './data-packets.ts'
import { ARRIVED_BYTES, Field, HASH_BYTES, HMAC_BYTES, ID_BYTES, MAX_SIGN, MIN_SIGN, SESSION_BYTES } from './field-table.ts'
import { MAX_MESSAGE } from './messages.ts'
import { Op } from './op.ts'

const VARINT = 0
const BYTES = 2
const TAG_BITS = 3
const NUMBER_BITS = 7
const MORE = 0x80

/** Op codes of data have two bytes, of which the second one is the same. */
export const OP_AT = 1
const OP_HIGH = Op.dataRequest >> NUMBER_BITS
export const lowOf = (op: number): number => op & 0x7f | MORE
const DATA_REQUEST = lowOf(Op.dataRequest)
const PASS_DATA = lowOf(Op.passData)
const DATA_ACK = lowOf(Op.dataAck)

/** Whether a datagram begins as a message of data. */
export const isOfData = (bytes: Uint8Array): boolean =>
  bytes.length > OP_AT + 1 && bytes[OP_AT + 1] === OP_HIGH && bytes[0] === FirstByte.MESSAGE && bytes[OP_AT] >= DATA_REQUEST && bytes[OP_AT] <= DATA_ACK

export class DataFields {
  op: typeof Op.dataRequest | typeof Op.passData | typeof Op.dataAck = Op.dataAck
  seq = 0
  ts = 0
  /** Where fields begin; 0: missing. */
  id = 0
  target = 0
  session = 0
  data = 0
  dataLength = 0
  sign = 0
  signLength = 0
  dataHash = 0
  /** Where data ends, and with its tag the field behind `sign`. */
  dataEnd = 0
  signEnd = 0
  /** Where a value ends that was read, and of a number which it is. */
  #end = 0
  #value = 0

  /** Whether bytes are such a message. */
  read (bytes: Uint8Array): boolean {
    const { length } = bytes
    if (length > MAX_MESSAGE || !isOfData(bytes)) return false
    this.#end = OP_AT + 2
    switch (bytes[OP_AT]) {
      case DATA_REQUEST: this.op = Op.dataRequest; break
      case PASS_DATA: this.op = Op.passData; break
      default: this.op = Op.dataAck
    }
    const isAck = this.op === Op.dataAck
    this.id = isAck ? 0 : this.#fixed(bytes, Field.id, ID_BYTES)
    this.target = isAck ? 0 : this.#fixed(bytes, Field.target, ID_BYTES)
    if (!isAck && (this.id === 0 || this.target === 0)) return false
    if (!this.#number(bytes, Field.seq)) return false
    this.seq = this.#value
    if (!this.#number(bytes, Field.ts)) return false
    this.ts = this.#value
    this.session = this.#fixed(bytes, Field.session, SESSION_BYTES)
    if (this.session === 0) return false
    if (isAck) {
      this.data = this.#fixed(bytes, Field.data, ARRIVED_BYTES)
      this.dataLength = this.data === 0 ? 0 : ARRIVED_BYTES
      this.dataEnd = this.#end
    } else {
      this.data = this.#bytes(bytes, Field.data)
      this.dataLength = this.#value
      if (this.data === 0 || this.dataLength === 0) return false
      this.dataEnd = this.#end
    }
    this.sign = this.signLength = 0
    if (this.op === Op.dataRequest) {
      this.sign = this.#bytes(bytes, Field.sign)
      this.signLength = this.#value
      if (this.sign === 0 || (this.signLength !== HMAC_BYTES && (this.signLength < MIN_SIGN || this.signLength > MAX_SIGN))) return false
    }
    this.signEnd = this.#end
    this.dataHash = isAck ? 0 : this.#fixed(bytes, Field.dataHash, HASH_BYTES)
    return this.#end === length
  }

  /** Where a field of one length begins; 0: it is not there. */
  #fixed (bytes: Uint8Array, field: number, length: number): number {
    const at = this.#end
    if (at + 2 + length > bytes.length || bytes[at] !== (field << TAG_BITS | BYTES) || bytes[at + 1] !== length) return 0
    this.#end = at + 2 + length
    return at + 2
  }

  #bytes (bytes: Uint8Array, field: number): number {
    const at = this.#end
    if (at >= bytes.length || bytes[at] !== (field << TAG_BITS | BYTES) || !this.#varint(bytes, at + 1)) return 0
    const begin = this.#end
    if (begin + this.#value > bytes.length) return 0
    this.#end = begin + this.#value
    return begin
  }

  /** 0 is not written. */
  #number (bytes: Uint8Array, field: number): boolean {
    const at = this.#end
    return at < bytes.length && bytes[at] === (field << TAG_BITS | VARINT) && this.#varint(bytes, at + 1) && this.#value !== 0
  }

  /** In its shortest form, up to 2^53 - 1. */
  #varint (bytes: Uint8Array, from: number): boolean {
    let value = 0
    let scale = 1
    for (let at = from; at < bytes.length && scale <= Number.MAX_SAFE_INTEGER; at++) {
      const byte = bytes[at]
      value += (byte & MORE - 1) * scale
      if (byte < MORE) {
        this.#value = value
        this.#end = at + 1
        return value <= Number.MAX_SAFE_INTEGER && (byte !== 0 || at === from)
      }
      scale *= MORE
    }
    return false
  }
}

/** Whether these bytes are those of a value. */
export function isAt (bytes: Uint8Array, at: number, value: Uint8Array): boolean {
  for (let i = 0; i < value.length; i++) if (bytes[at + i] !== value[i]) return false
  return true
}
