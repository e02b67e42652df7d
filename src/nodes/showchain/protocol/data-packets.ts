/** Datagrams of data: their first byte, and where the parts of a sealed packet are (SHOW CHAIN protocol, sections 7.1 and 7.3). */

/** The first byte of a datagram: of a message it is the tag of the op code. */
export const FirstByte = { MESSAGE: 0x08, HANDSHAKE: 0xc0, SEALED: 0xc1 } as const

/** What is in a sealed packet. */
export const SealedType = { STREAM: 0, PROBE: 1, PROBE_ANSWER: 2, CLOSE: 3, ALTERED: 4, SIZE_PROBE: 5, SIZE_ANSWER: 6 } as const

/** Why the other end has closed a session: the content of `SealedType.CLOSE`. */
export const CloseReason = { STOPPED: 0, NOT_ALLOWED: 1, REPLACED: 2 } as const

/** The index of the receiver, 4 bytes, and the counter, 8 bytes, are the IV. */
export const SEALED_LAYOUT = { iv: 1, tag: 'end', text: 13 } as const

/** Bytes of a packet that every path takes: those of the longest part of a handshake. */
export const LEAST_PACKET = 492

/** Where the index of the receiver is, in 4 bytes. */
export const INDEX_AT = 1

/** Bytes of a sealed packet in front of its content, the type included, and behind it. */
export const SEALED_HEAD = 14
export const SEALED_TAIL = 16
