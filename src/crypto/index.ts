/** Sealing of datagrams with AES-256-GCM; which of them have come already. */
export type { DatagramCipher, DatagramCipherInit } from './datagram-cipher.ts'
export type { SealingImplementation } from './gcm.ts'
export { counterIvs, RANDOM_IV_LIMIT, randomIvs, type CounterIvsInit, type IvSource } from './iv-sources.ts'
export type { SealLayout } from './layout.ts'
export { ReplayWindow, type ReplayWindowInit } from './replay-window.ts'
export { loadSealing, type Sealing } from './sealing.ts'
export { SealingError, type SealingErrorCode } from './sealing-error.ts'
