/** What tells a frame of a certain client from bytes that only look like one. The frames are still masked. */

/**
 * Whether a payload looks like what this client sends. It is called for each frame, and with the beginning of a payload: then it is
 * whether nothing speaks against it so far.
 *
 * @param at where the masked payload begins in `bytes`
 * @param have bytes of it that are there, 0 to `size`
 * @param size bytes of the whole payload
 * @param key the four key bytes as they stand on the wire, read big-endian
 */
export type Plausible = (opcode: number, bytes: Uint8Array, at: number, have: number, size: number, key: number) => boolean

/**
 * Whether a binary payload is for certain one that this client has sent, when nothing else tells that a frame begins there.
 * Undefined while `have` bytes are too few to tell. For the other parameters see {@link Plausible}.
 */
export type Trusted = (bytes: Uint8Array, at: number, have: number, size: number, key: number) => boolean | undefined
