/** Verification of RSA-PSS by functions of OpenSSL. */
export { loadPssVerifier } from './load.ts'
export type { PssContext, PssVerifier } from './verifier.ts'
