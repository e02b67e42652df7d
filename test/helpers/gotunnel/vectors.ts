/** Golden bytes of the protocol, shared with implementations in other languages, and the fields that they were made of. */
import { readVectors, vectorOf, type Vector } from '../vectors.ts'

export const vectors = readVectors('gotunnel')

export const vector = (name: string): Vector & { bytes: Buffer } => vectorOf(vectors, name)

/** Those that are one message in one frame. */
export const messages = vectors.filter(({ inputs }) => 'type' in inputs)
