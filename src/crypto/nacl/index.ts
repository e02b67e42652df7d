/** NaCl: secret boxes, boxes and signed messages, by `sodium-native` or `tweetnacl`. */
export { KeyPair } from './key-pair.ts'
export { loadNacl } from './load.ts'
export type { Nacl, NaclImplementation } from './nacl.ts'
export { NaclError, type NaclErrorCode } from './nacl-error.ts'
export { BOX_TAG_BYTES, NACL_KEY_BYTES, NONCE_BYTES, SIGN_SECRET_BYTES, SIGNATURE_BYTES } from './sizes.ts'
