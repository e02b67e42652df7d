/** The authentication of data by HMAC (SHOW CHAIN protocol, section 6.3), written plainly: what both ends and the proxy compute faster is compared with it. */
import { createHmac } from 'node:crypto'
import type { ShowchainMessage } from '../../../src/nodes/showchain/protocol/messages.ts'
import { signedBytes } from '../../../src/nodes/showchain/protocol/signatures.ts'

/** `sign` of a 0x123. */
export const hmacOf = (message: ShowchainMessage, key: Uint8Array): Uint8Array => createHmac('sha256', key).update(signedBytes(message)).digest()

export const verifyHmac = (message: ShowchainMessage, key: Uint8Array): boolean => message.sign !== undefined && Buffer.compare(hmacOf(message, key), message.sign) === 0
