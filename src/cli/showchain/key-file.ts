/** Files of RSA keys: PEM, PKCS #8, for their owner alone. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { Identity } from '../../nodes/showchain/protocol/identity.ts'
import { isAllowedSize, MAX_BITS, MIN_BITS } from '../../nodes/showchain/protocol/public-key.ts'
import { quoted } from '../../text/phrases.ts'
import { readBounded } from '../config/bounded-file.ts'
import { codeOf, explained } from '../reason.ts'
import { placeFile } from '../state/new-file.ts'
import { UsageError } from '../usage-error.ts'

/** Of the only keys that there are (SHOW CHAIN protocol, section 1). */
const EXPONENT = 65_537n

/** A key of 4096 bits has 3.3 KB, and there may be comments around it. */
const MAX_FILE_BYTES = 16 * 1024

const EXPECTED = `expected RSA of ${MIN_BITS} to ${MAX_BITS} bits in PEM (PKCS #8)`
const GENERATE = 'peer showchain keygen --out'

/**
 * Reads a private key.
 *
 * @param key - how the user named the file: `--identity`, or `relay.yaml:4: showchain.identity`
 * @throws {UsageError} for a file that is missing, that others can read, or that has no such key; no text of it is in the message
 */
export function readKeyFile (file: string, key: string): Identity {
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) throw new UsageError(`${key}: there is no such file (${JSON.stringify(file)}), ${GENERATE} ${shellWord(file)} makes one`)
  if (stat.isFile() && (stat.mode & 0o077) !== 0) throw new UsageError(`${key}: others can read the key, or write it (${JSON.stringify(file)}): chmod 600 ${shellWord(file)}`)
  const problem = (what: string): UsageError => new UsageError(`${key}: ${what} (${JSON.stringify(file)}), ${EXPECTED}`)
  const text = readBounded(file, key, MAX_FILE_BYTES)
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) throw problem('the key is encrypted')
  if (/-----BEGIN (?:RSA )?PUBLIC KEY-----/.test(text)) throw problem('that is a public key')
  const [pem] = /-----BEGIN (?:RSA |EC )?PRIVATE KEY-----.*?-----END (?:RSA |EC )?PRIVATE KEY-----/s.exec(text) ?? []
  if (pem === undefined) throw problem('no private key')
  const object = parsed(pem)
  if (object === undefined) throw problem('the private key cannot be read')
  const wrong = wrongWith(object)
  if (wrong !== undefined) throw problem(wrong)
  return new Identity(object)
}

/** The words of OpenSSL about it help nobody. */
function parsed (pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    return undefined
  }
}

/** Undefined for a key that may be used. */
function wrongWith ({ asymmetricKeyType: type, asymmetricKeyDetails: { modulusLength = 0, publicExponent } = {} }: KeyObject): string | undefined {
  if (type !== 'rsa') return `a key of the type ${type}`
  if (!isAllowedSize(modulusLength)) return `a key of ${modulusLength} bits`
  return publicExponent === EXPONENT ? undefined : `a key with the exponent ${publicExponent}`
}

/** A file name as a shell takes it. */
const shellWord = (text: string): string => /^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`

export interface NewKeyInit {
  readonly file: string
  readonly bits: number
  /** Replace a file that is there. */
  readonly overwrite: boolean
}

/**
 * Makes a key and its file, which is there as a whole or not at all, also after a power failure.
 *
 * @throws {UsageError} when the file is there and may not be replaced; an error of the system when it cannot be written
 */
export async function createKeyFile ({ file, bits, overwrite }: NewKeyInit): Promise<Identity> {
  if (!overwrite && existsSync(file)) throw taken(file) // before the work
  const identity = await Identity.generate(bits)
  try {
    placeFile(file, identity.pem, overwrite)
  } catch (err) {
    if (codeOf(err) === 'EEXIST') throw taken(file)
    throw explained(err, `cannot write ${file}`)
  }
  return identity
}

const taken = (file: string): UsageError => new UsageError(`--out: ${quoted(file)} is there already, expected a new file (or --overwrite, by which the key in it is lost)`)
