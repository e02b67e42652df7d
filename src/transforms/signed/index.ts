/** Messages signed by RSA-PSS over values that a table lists. */
export { bytesOf, CoveredValues, uintOf, type CoveredTable, type CoveredValue } from './covered-values.ts'
export { signed, SigningError, type SignedDrop, type SignedInit, type SignedLink } from './layer.ts'
export { PssKey, PssSigner } from './pss.ts'
export type { VerificationLimits } from './verifications.ts'
