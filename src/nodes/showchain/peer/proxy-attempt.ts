/** A session with a proxy, for one end of it (SHOW CHAIN protocol, sections 6.1 and 6.3). */
import type { Endpoint } from '../../../types.ts'
import { EphemeralKey, proxyKey } from '../protocol/key-agreement.ts'
import { Op } from '../protocol/op.ts'
import type { Incoming, OpenRequest, OpenRequests } from '../protocol/requests.ts'

/** From this try on the extension is left out, as a proxy without it does not answer. */
const PLAIN_FROM = 2

export interface ProxyAttemptInit {
  requests: OpenRequests
  /** The own id. */
  own: Uint8Array
  proxy: { readonly endpoint: Endpoint, readonly id: Uint8Array }
  /** Id of the other node. */
  target: Uint8Array
  /** Offer no key. */
  isPlain: boolean
  /** The session, and the key of its HMAC, 32 bytes, if one was agreed on. Called again when a later answer brings another key. */
  onSession (session: Uint8Array, key: Uint8Array | undefined): void
  onFailed (reason: string): void
}

export class ProxyAttempt {
  readonly #init: ProxyAttemptInit
  readonly #ephemeral: EphemeralKey | undefined
  #request: OpenRequest | undefined
  /** What the proxy has given for it. */
  #answered: Uint8Array | undefined
  #hasSession = false

  constructor (init: ProxyAttemptInit) {
    this.#init = init
    this.#ephemeral = init.isPlain ? undefined : new EphemeralKey()
  }

  start (): void {
    const { requests, proxy, target, onFailed } = this.#init
    this.#request = requests.open({
      op: Op.proxyRequest,
      to: proxy.endpoint,
      target,
      fields: (attempt) => ({ ephemeral: attempt < PLAIN_FROM ? this.#ephemeral?.publicKey : undefined }),
      onAnswer: (answer) => { this.#onAnswer(answer) },
      onFailed: () => { if (!this.#hasSession) onFailed('the proxy has not answered: the other node is not registered with it, or it is not there') }
    })
    if (this.#request === undefined) onFailed('too many requests are open')
  }

  close (): void { this.#request?.close() }

  /** The request stays open: the answer to another try of it may bring the key that counts. */
  #onAnswer ({ message: { session, ephemeral } }: Incoming): void {
    this.#request?.settle()
    if (session === undefined || (this.#hasSession && (ephemeral === undefined || isSame(ephemeral, this.#answered)))) return
    const key = ephemeral === undefined ? undefined : this.#keyOf(session, ephemeral)
    this.#hasSession = true
    this.#answered = ephemeral === undefined ? undefined : Uint8Array.from(ephemeral)
    this.#init.onSession(Uint8Array.from(session), key)
  }

  #keyOf (session: Uint8Array, ephemeral: Uint8Array): Uint8Array | undefined {
    const secret = this.#ephemeral?.agree(ephemeral)
    if (secret === undefined || this.#ephemeral === undefined) return undefined
    const { own, proxy } = this.#init
    return proxyKey({ secret, session, requester: { id: own, ephemeral: this.#ephemeral.publicKey }, proxy: { id: proxy.id, ephemeral } })
  }
}

const isSame = (a: Uint8Array, b: Uint8Array | undefined): boolean => b !== undefined && Buffer.compare(a, b) === 0
