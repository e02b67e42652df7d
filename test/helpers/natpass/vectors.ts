/** Golden bytes of the protocol, shared with implementations in other languages, and what they were made of. */
import { readVectors, vectorOf } from '../vectors.ts'

export const vectors = readVectors('natpass')

/** The bytes of a whole frame. */
export const vector = (name: string): Buffer => vectorOf(vectors, name).bytes

/** Those that are a message in a frame, whole and sound. */
export const messages = vectors.filter(({ inputs }) => inputs?.message !== undefined)
