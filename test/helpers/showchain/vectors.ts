/** Golden bytes of SHOW CHAIN, and what they were made of. */
import { hex } from '../bytes.ts'
import { readVectors, vectorOf, type Vector } from '../vectors.ts'
import type { ShowchainMessage } from '../../../src/nodes/showchain/protocol/messages.ts'

export const vectors = readVectors('showchain')

export const vector = (name: string): Vector & { bytes: Buffer } => vectorOf(vectors, name)

/** Those that are one message. */
export const messageVectors = vectors.filter(({ inputs }) => inputs.op !== undefined)

const BYTES = ['id', 'target', 'session', 'ip', 'data', 'sign', 'key', 'cookie', 'ephemeral']

/** The message that a vector is. */
export function messageIn ({ inputs }: Vector): ShowchainMessage {
  const bytes = Object.fromEntries(BYTES.map((name) => [name, inputs[name] === undefined ? undefined : hex(inputs[name])]))
  const dataHash = inputs.data_hash === undefined ? undefined : hex(inputs.data_hash)
  return { seq: 0, ts: 0, ...bytes, op: inputs.op, dataHash, port: inputs.port, kind: inputs.kind, ...inputs.seq === undefined ? {} : { seq: inputs.seq, ts: inputs.ts } } as ShowchainMessage
}
