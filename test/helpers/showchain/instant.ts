/** Signatures that take no time, as work on other threads would not be waited for by a virtual clock. */
import { PublicKeys } from '../../../src/nodes/showchain/protocol/public-keys.ts'
import type { Identity } from '../../../src/nodes/showchain/protocol/identity.ts'
import type { PublicKey } from '../../../src/nodes/showchain/protocol/public-key.ts'

export type InstantIdentity = Pick<Identity, 'id' | 'der' | 'size' | 'sign' | 'signLater'>

export const instant = (identity: Identity): InstantIdentity => ({
  id: identity.id,
  der: identity.der,
  size: identity.size,
  sign: (bytes) => identity.sign(bytes),
  signLater: (bytes, done) => {
    const sign = identity.sign(bytes)
    queueMicrotask(() => { done(sign) })
  }
})

/** Keys that verify in the same way. */
export class InstantKeys extends PublicKeys {
  override read (der: Uint8Array, id: Uint8Array): ReturnType<PublicKeys['read']> {
    const key = super.read(der, id)
    if (typeof key === 'string') return key
    const verifyLater: PublicKey['verifyLater'] = (bytes, signature, done) => {
      const isValid = key.verify(bytes, signature)
      queueMicrotask(() => { done(isValid) })
    }
    return Object.defineProperty(key, 'verifyLater', { value: verifyLater, configurable: true })
  }
}
