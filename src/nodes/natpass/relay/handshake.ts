/** The handshake of a client: its proof of the secret, and its id (natpass protocol, section 2). */
import { ReplayTable } from './replay-table.ts'
import type { RelaySettings } from './settings.ts'
import type { NatpassRejectReason } from './stats.ts'
import { CHECKSUM_BYTES, LENGTH_BYTES, verifyChecksum } from '../protocol/frames.ts'
import { MessageType, SERVER } from '../protocol/message-types.ts'
import { decodeMessage, msgSchema, type Message } from '../protocol/messages.ts'
import { ProofVerifier, stepAt } from '../protocol/proof.ts'
import { verifyMessage } from '../../../transforms/protobuf/wire.ts'

/** Messages in front of the handshake that are ignored, as the original does. */
const MAX_OTHERS = 9

/** Bytes of an id. */
const MAX_ID = 128

/** A connection that has not proved the secret yet. */
export interface Candidate {
  /** Messages that were no handshake. */
  others: number
}

/** What a frame of a candidate leads to: an id, a reason to reject it, or nothing yet. */
export type Verdict = { id: string } | { reason: NatpassRejectReason } | undefined

export class Handshakes {
  #replays = new ReplayTable()
  #verifier: ProofVerifier
  #settings: Pick<RelaySettings, 'secret' | 'legacyMd5' | 'strict'>

  constructor (settings: Pick<RelaySettings, 'secret' | 'legacyMd5' | 'strict'>) {
    this.#settings = settings
    this.#verifier = new ProofVerifier(settings.secret, settings.legacyMd5)
  }

  configure (settings: Pick<RelaySettings, 'secret' | 'legacyMd5' | 'strict'>): void {
    if (settings.secret !== this.#settings.secret) this.#replays = new ReplayTable()
    this.#settings = settings
    this.#verifier = new ProofVerifier(settings.secret, settings.legacyMd5)
  }

  /**
   * Reads a frame of a candidate.
   *
   * @param address of its source
   * @param date milliseconds since 1970
   * @throws {ChecksumError} @throws {ProtobufError} for a frame that is none
   */
  read (candidate: Candidate, frame: Uint8Array, address: string, date: number): Verdict {
    const message = messageIn(frame)
    if (message._type !== MessageType.handshake) return ++candidate.others > MAX_OTHERS ? { reason: 'malformed' } : undefined
    const step = this.#verifier.verify(message.hsp?.enc ?? new Uint8Array(0), date)
    if (step === undefined) return { reason: 'secret' }
    if (this.#settings.strict && this.#replays.isReplayed(step, address, stepAt(date))) return { reason: 'replay' }
    const { from } = message
    return from === '' || from === SERVER || Buffer.byteLength(from) > MAX_ID ? { reason: 'id' } : { id: from }
  }
}

function messageIn (frame: Uint8Array): Message {
  verifyChecksum(frame)
  const payload = frame.subarray(LENGTH_BYTES + CHECKSUM_BYTES)
  verifyMessage(payload, 0, payload.length, msgSchema)
  return decodeMessage(payload)
}
