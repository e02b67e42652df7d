/** Sealing of datagrams with AES-256-GCM; which of them have come already; NaCl. */
export type { DatagramCipher, DatagramCipherInit } from './datagram-cipher.ts'
export type { SealingImplementation } from './gcm.ts'
export { counterIvs, RANDOM_IV_LIMIT, randomIvs, type CounterIvsInit, type IvSource } from './iv-sources.ts'
export type { SealLayout } from './layout.ts'
export { KeyPair, loadNacl, NaclError, type Nacl, type NaclErrorCode, type NaclImplementation } from './nacl/index.ts'
export { ReplayWindow, type ReplayWindowInit } from './replay-window.ts'
export { loadSealing, type Sealing } from './sealing.ts'
export { SealingError, type SealingErrorCode } from './sealing-error.ts'
