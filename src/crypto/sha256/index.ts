/** SHA-256 and HMAC-SHA-256 of short messages, by functions of OpenSSL or by `node:crypto`. */
export { loadSha256 } from './load.ts'
export { DIGEST_BYTES, type Hmac, type Sha256, type Sha256Implementation } from './sha256.ts'
