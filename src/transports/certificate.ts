/** The certificate of a server, and another one in its place while it runs. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { OptionError } from '../errors.ts'
import type { Link, Listener } from '../types.ts'

/** PEM texts of a certificate chain and its private key; `ca` asks clients for a certificate signed by it. */
export interface CertificateInit extends Pick<SecureContextOptions, 'ca'> {
  cert: string | Buffer
  key: string | Buffer
}

/** A listener that may speak TLS. */
export interface TlsListener<L extends Link = Link> extends Listener<L> {
  /**
   * Another certificate and key for the handshakes from now on; links go on as they are. Tickets that were given out under the
   * old one are worth nothing any more, so every client sees the new one.
   *
   * @param init without `ca` the one that was given last stays. A listener that has not asked for certificates from the start
   *   cannot begin to
   * @throws {OptionError} when key and certificate do not belong together, for a `ca` where there was none, and on a listener
   *   without TLS; else what OpenSSL says of the texts. Then nothing has changed
   */
  setCertificate (init: CertificateInit): void
}

/** Throws `OptionError`, or what OpenSSL says, for what no server can use. */
export function verifyCertificate ({ cert, key, ca }: CertificateInit): void {
  createSecureContext({ cert, key, ca })
  // OpenSSL takes a key of another kind than that of the certificate, and then fails at each handshake.
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) throw new OptionError('key is not that of cert')
}

/**
 * The `setCertificate` of a listener.
 *
 * @param server undefined when it speaks no TLS
 * @param current what the server was made with
 */
export function certificateSetter (server: { setSecureContext (init: CertificateInit): void } | undefined, current: Pick<CertificateInit, 'ca'> = {}): (init: CertificateInit) => void {
  let { ca } = current
  return (init) => {
    if (server === undefined) throw new OptionError('a listener without TLS has no certificate')
    if (init.ca !== undefined && ca === undefined) throw new OptionError('ca cannot be given to a listener that was made without')
    const next = { cert: init.cert, key: init.key, ca: init.ca ?? ca }
    verifyCertificate(next)
    server.setSecureContext(next)
    ca = next.ca
  }
}
