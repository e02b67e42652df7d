import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { readableByOthers, readBounded } from './bounded-file.ts'
import { verifyCertificate } from '../../transports/certificate.ts'
import { reason } from '../reason.ts'
import { UsageError } from '../usage-error.ts'

const MAX_PEM_BYTES = 1024 * 1024

/**
 * Reads a certificate chain and its key, and checks that they match.
 *
 * @param warn - called when other users of this machine can read the key
 */
export function readTlsPair (certFile: string, keyFile: string, nameOf: (key: string) => string, warn: (message: string) => void): { cert: string, key: string } {
  const cert = readBounded(certFile, nameOf('tls-cert'), MAX_PEM_BYTES)
  const key = readBounded(keyFile, nameOf('tls-key'), MAX_PEM_BYTES)
  try {
    createSecureContext({ cert })
  } catch (err) {
    throw new UsageError(`${nameOf('tls-cert')}: not a certificate (${reason(err)}), expected PEM`)
  }
  try {
    verifyCertificate({ cert, key })
  } catch (err) {
    throw new UsageError(`${nameOf('tls-key')}: not the key of this certificate (${reason(err)}), expected PEM without a passphrase`)
  }
  if (readableByOthers(keyFile)) warn(`${keyFile} holds a key and others can read it: chmod 600 ${keyFile}`)
  return { cert, key }
}

/** Reads the certificates that a peer trusts instead of those of the system. */
export function readCa (file: string, nameOf: (key: string) => string): string {
  const ca = readBounded(file, nameOf('ca'), MAX_PEM_BYTES)
  try {
    createSecureContext({ ca })
    void new X509Certificate(ca)
    return ca
  } catch {
    // reported below
  }
  throw new UsageError(`${nameOf('ca')}: no certificate in it, expected PEM`)
}
