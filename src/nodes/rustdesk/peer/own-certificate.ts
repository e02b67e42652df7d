/**
 * What the server has signed of this peer, by which others know its id: it asks for a path to itself, and gives the answer that the server waits
 * for (RustDesk protocol, section 11.3).
 */
import { openCertificate } from './certificate.ts'
import { CLIENT_VERSION } from './client-version.ts'
import { ServerConnection, type DialServerInit } from './server-connection.ts'
import { mangleAddress, unmangleAddress } from '../protocol/mangled-address.ts'
import type { Members, RendezvousMessage } from '../protocol/messages.ts'
import { LinkClosedError } from '../../../errors.ts'
import type { Nacl } from '../../../crypto/nacl/index.ts'

/** Milliseconds for the answer. */
const TIMEOUT = 6000

export interface OwnCertificateInit {
  nacl: Nacl
  id: string
  /** Ed25519, of this peer. */
  publicKey: Uint8Array
  key: string
  serverKey: Uint8Array
  /** Of connections to the server. */
  dial (): Promise<DialServerInit>
  micros (): number
}

export class OwnCertificate {
  readonly #init: OwnCertificateInit
  #asking: Promise<Uint8Array> | undefined
  #signed: Uint8Array | undefined
  #isOpen = false

  constructor (init: OwnCertificateInit) { this.#init = init }

  /**
   * Asked for once. The peer has to be registered.
   *
   * @throws {LinkClosedError} when the server does not tell it; an error of the connection
   */
  get (): Promise<Uint8Array> {
    if (this.#signed !== undefined) return Promise.resolve(this.#signed)
    this.#asking ??= this.#ask().finally(() => { this.#asking = undefined })
    return this.#asking
  }

  /** Takes a message of the server, when it is the question of this peer for itself. @returns whether it was */
  take (message: RendezvousMessage): boolean {
    const { fetch_local_addr: local, punch_hole: punch } = message as RendezvousMessage & Partial<Members>
    const asked = local ?? punch
    if (asked == null || !this.#isOpen) return false
    this.#isOpen = false
    void this.#answer(asked.socket_addr, local != null).catch(() => {}) // the question times out
    return true
  }

  async #ask (): Promise<Uint8Array> {
    const { nacl, id, publicKey, key, serverKey, dial } = this.#init
    const connection = await ServerConnection.dial(await dial())
    this.#isOpen = true
    try {
      connection.send({ punch_hole_request: { id, licence_key: key } })
      const answer = await connection.next(({ punch_hole_response: response }) => response ?? undefined, TIMEOUT)
      const signed = Uint8Array.from(answer?.pk ?? [])
      const certified = openCertificate(nacl, signed, serverKey)
      if (certified === undefined || certified.id !== id || Buffer.compare(certified.publicKey, publicKey) !== 0) throw new LinkClosedError('the server has not signed the key of this peer')
      this.#signed = signed
      return signed
    } finally {
      this.#isOpen = false
      void connection.close()
    }
  }

  async #answer (asker: Uint8Array, isLocal: boolean): Promise<void> {
    const { id, dial, micros } = this.#init
    const connection = await ServerConnection.dial(await dial())
    const from = mangleAddress(unmangleAddress(asker), micros())
    connection.send(isLocal ? { local_addr: { socket_addr: from, local_addr: mangleAddress(connection.local, micros()), id, version: CLIENT_VERSION } } : { punch_hole_sent: { socket_addr: from, id, version: CLIENT_VERSION } })
    await connection.close()
  }
}
