/** Finds out once whether signatures can be verified by functions of OpenSSL itself. */
import { KEY, MESSAGE, OTHER_SALT, SIGNATURE } from './known-answers.ts'
import { FunctionsOfPss, type PssVerifier } from './verifier.ts'
import { loadOpenSslPss, type OpenSslPss } from '../../net/native/openssl-pss.ts'
import { loadSha256 } from '../sha256/load.ts'

let loaded: Promise<PssVerifier | undefined> | undefined

/** Loads and tests once for each thread. Never rejects: undefined where there is no OpenSSL to call, or it has failed the test. */
export function loadPssVerifier (): Promise<PssVerifier | undefined> {
  loaded ??= pssVerifierBy(loadOpenSslPss)
  return loaded
}

/** By other functions. Never rejects. */
export async function pssVerifierBy (load: () => Promise<OpenSslPss>): Promise<PssVerifier | undefined> {
  try {
    const verifier = new FunctionsOfPss(await load(), await loadSha256())
    return isRight(verifier) ? verifier : undefined
  } catch {
    return undefined // `crypto.verify` does the same
  }
}

function isRight (verifier: PssVerifier): boolean {
  const context = verifier.open(KEY)
  if (context === undefined) return false
  const altered = Uint8Array.from(SIGNATURE, (byte, i) => i === 100 ? byte ^ 1 : byte)
  const isRight = !context.verify(MESSAGE, altered) && !context.verify(MESSAGE, OTHER_SALT) && !context.verify(MESSAGE.subarray(1), SIGNATURE) && context.verify(MESSAGE, SIGNATURE)
  context.close()
  return isRight
}
