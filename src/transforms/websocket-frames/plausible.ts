/** Tells frames of a certain client from other bytes. The frames are still masked. */

/**
 * Whether a payload looks like one of this client. Called for each frame, also with only the beginning of a payload: then whether it is
 * still possible.
 *
 * @param at offset of the masked payload in `bytes`
 * @param have bytes of it that are there, 0 to `size`
 * @param size bytes of the whole payload
 * @param key the four key bytes in wire order, read big-endian
 */
export type Plausible = (opcode: number, bytes: Uint8Array, at: number, have: number, size: number, key: number) => boolean

/**
 * Whether a binary payload is certainly one of this client, without other evidence that a frame begins there. Undefined while `have` bytes
 * are too few. For the other parameters see {@link Plausible}.
 */
export type Trusted = (bytes: Uint8Array, at: number, have: number, size: number, key: number) => boolean | undefined
