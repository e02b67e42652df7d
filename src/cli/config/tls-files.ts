import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { readableByOthers, readBounded } from './bounded-file.ts'
import type { SectionContext } from './context.ts'
import type { Values } from './settings.ts'
import { verifyCertificate } from '../../transports/certificate.ts'
import { reason } from '../reason.ts'
import { UsageError } from '../usage-error.ts'

const MAX_PEM_BYTES = 1024 * 1024

/**
 * Reads a certificate chain and its key, of the keys `<name>-cert` and `<name>-key`, which are both there, and checks that they match. Warns when other users of
 * this machine can read the key.
 *
 * @throws {UsageError} when one is no file of its kind
 */
export function readTlsPair (section: Values, name: string, { nameOf, warn }: SectionContext): { cert: string, key: string } {
  const [certKey, keyKey] = [`${name}-cert`, `${name}-key`]
  const { [certKey]: certFile, [keyKey]: keyFile } = section as Record<string, string>
  const cert = readBounded(certFile, nameOf(certKey), MAX_PEM_BYTES)
  const key = readBounded(keyFile, nameOf(keyKey), MAX_PEM_BYTES)
  try {
    createSecureContext({ cert })
  } catch (err) {
    throw new UsageError(`${nameOf(certKey)}: not a certificate (${reason(err)}), expected PEM`)
  }
  try {
    verifyCertificate({ cert, key })
  } catch (err) {
    throw new UsageError(`${nameOf(keyKey)}: not the key of this certificate (${reason(err)}), expected PEM without a passphrase`)
  }
  if (readableByOthers(keyFile)) warn(`${keyFile} holds a key and others can read it: chmod 600 ${keyFile}`)
  return { cert, key }
}

/** Reads the certificates that a peer trusts instead of those of the system. @param key - the name of the key in an error */
export function readCa (file: string, key: string): string {
  const ca = readBounded(file, key, MAX_PEM_BYTES)
  try {
    createSecureContext({ ca })
    void new X509Certificate(ca)
    return ca
  } catch {
    // reported below
  }
  throw new UsageError(`${key}: no certificate in it, expected PEM`)
}
