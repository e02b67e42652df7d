/** Taps: copies of the messages that a relay forwards. */
import type { Client } from './client.ts'
import type { CaptureDirection } from '../../../transforms/capture/index.ts'
import type { Batch } from '../../../types.ts'

/** Called with forwarded messages, whose memory is valid until it has returned. `in`: from a client to the relay. */
export type NatpassTap = (messages: Batch, direction: CaptureDirection) => void

/** The traffic of a tap. */
export interface NatpassTapFilter {
  /** The id of a client: what it sends and gets. Default: what all clients send, so that each message is shown once. */
  client?: string | undefined
}

export class Taps {
  readonly #taps = new Map<NatpassTap, NatpassTapFilter>()

  get size (): number { return this.#taps.size }

  add (filter: NatpassTapFilter, tap: NatpassTap): void { this.#taps.set(tap, filter) }

  remove (tap: NatpassTap): void { this.#taps.delete(tap) }

  /** Shows a message as it is forwarded. */
  show (message: Uint8Array, from: Client, to: Client): void {
    for (const [tap, { client }] of this.#taps) {
      if (client === undefined || client === from.id) tap([message], 'in')
      else if (client === to.id) tap([message], 'out')
    }
  }
}
