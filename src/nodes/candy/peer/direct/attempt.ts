/** One attempt to reach a member: the own key, and the sessions that it has agreed on; candy protocol, section 2.7. */
import { AttemptKey, keyId } from './attempt-key.ts'
import type { DirectSession } from './direct-session.ts'
import { KEY_ID_BYTES, type Introduction } from '../../protocol/introduction.ts'

/** Keys of a member in one attempt: more than one when it begins again meanwhile. */
const MAX_AGREED = 4

const NO_KEY = new Uint8Array(KEY_ID_BYTES)

export interface AttemptInit {
  /** The first four bytes of datagrams to this peer. */
  index: number
  /** A session that is found by its index from now on; undefined for a key that is none. */
  session (key: AttemptKey, index: number, introduction: Introduction): DirectSession | undefined
}

export class Attempt {
  readonly index: number
  readonly #init: AttemptInit
  readonly #key = new AttemptKey()
  /** Public keys of the member that the own key has agreed with. */
  readonly #agreed = new Set<string>()

  constructor (init: AttemptInit) {
    this.#init = init
    this.index = init.index
  }

  get publicKey (): Uint8Array { return this.#key.publicKey }

  /** How many keys the own one has agreed with. */
  get agreed (): number { return this.#agreed.size }

  /** Whether the member knows the own key. */
  isKnownBy ({ known }: Introduction): boolean { return Buffer.compare(known, this.#key.id) === 0 }

  /**
   * The session of both keys. They agree at most once, as the same keys with the same counters would end the secrecy of what is sent: undefined
   * for a key that was agreed with, for one that is none, and for too many.
   */
  agree (introduction: Introduction): DirectSession | undefined {
    const id = Buffer.from(introduction.publicKey).toString('base64')
    if (this.#agreed.has(id) || this.#agreed.size === MAX_AGREED) return undefined
    this.#agreed.add(id)
    return this.#init.session(this.#key, this.index, introduction)
  }
}

/** The bytes that name the key of a member; zeros when it has told none. */
export const knownKey = (introduction: Introduction | undefined): Uint8Array => introduction === undefined ? NO_KEY : keyId(introduction.publicKey)

/** Whether both have the same key, or none. */
export function hasSameKey (one: Introduction | undefined, other: Introduction | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return Buffer.compare(one.publicKey, other.publicKey) === 0
}
