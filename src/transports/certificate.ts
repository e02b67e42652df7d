/** The certificate of a server, and its replacement at runtime. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { OptionError } from '../errors.ts'
import type { Link, Listener } from '../types.ts'

/** A certificate chain and its private key, in PEM; with `ca` a client has to present a certificate signed by it. */
export interface CertificateInit extends Pick<SecureContextOptions, 'ca'> {
  cert: string | Buffer
  key: string | Buffer
}

/** A listener that may use TLS. */
export interface TlsListener<L extends Link = Link> extends Listener<L> {
  /**
   * Replaces the certificate and key for new handshakes; open links go on. Session tickets of the old certificate become invalid, so that
   * every client sees the new one.
   *
   * @param init without `ca` the last one stays. A listener that was made without `ca` cannot begin to ask for certificates
   * @throws {OptionError} when key and certificate do not match, for a `ca` where there was none, and on a listener without TLS; else an
   *   error of OpenSSL about the PEM. Then nothing has changed
   */
  setCertificate (init: CertificateInit): void
}

/** @throws {OptionError} when key and certificate do not match; else an error of OpenSSL */
export function verifyCertificate ({ cert, key, ca }: CertificateInit): void {
  createSecureContext({ cert, key, ca })
  // OpenSSL accepts a key of another type than that of the certificate, and then fails each handshake.
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) throw new OptionError('key is not that of cert')
}

/**
 * Makes the `setCertificate` of a listener.
 *
 * @param server undefined when it does not use TLS
 * @param current the options that the server was made with
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
