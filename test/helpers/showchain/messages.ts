/** Messages of every kind, with all of their fields. */
import { Op, type OpCode, type OpName } from '../../../src/nodes/showchain/protocol/op.ts'
import { ARRIVED_BYTES, FIELDS, Field, type FieldName } from '../../../src/nodes/showchain/protocol/field-table.ts'
import type { Identity } from '../../../src/nodes/showchain/protocol/identity.ts'
import type { ShowchainMessage } from '../../../src/nodes/showchain/protocol/messages.ts'
import { hashOf, signMessage } from '../../../src/nodes/showchain/protocol/signatures.ts'
import { identity } from './keys.ts'

export const OPS = Object.entries(Op) as Array<[OpName, OpCode]>

/** The time of tests, in milliseconds since 1970. */
export const NOW = 1_760_000_000_000

export const bytes = (length: number, first: number): Uint8Array => Uint8Array.from({ length }, (_, i) => first + i)

/** Names of the fields of a message, and whether they are required. */
export const fieldsOf = (op: OpCode): Array<[name: FieldName, isRequired: boolean]> => (Object.keys(Field) as FieldName[])
  .filter((name) => name !== 'op' && (FIELDS[op].known & 1 << Field[name]) !== 0)
  .map((name) => [name, (FIELDS[op].required & 1 << Field[name]) !== 0])

/** A message with all fields that its kind has; signed, where that is, by key a. */
export function messageOf (op: OpCode, fields: Partial<ShowchainMessage> = {}, signer: Identity = identity('a')): ShowchainMessage {
  const data = op === Op.dataAck ? bytes(ARRIVED_BYTES, 0x80) : Buffer.from('data')
  const all: Required<Omit<ShowchainMessage, 'op'>> = {
    id: signer.id,
    target: identity('b').id,
    seq: 7,
    ts: NOW,
    session: bytes(16, 0x50),
    ip: bytes(4, 192),
    port: 4242,
    data,
    sign: bytes(0, 0),
    key: signer.der,
    dataHash: hashOf(data),
    kind: 2,
    cookie: bytes(16, 0x60),
    ephemeral: bytes(32, 0x70)
  }
  const message = Object.fromEntries(fieldsOf(op).filter(([name]) => name !== 'sign').map(([name]) => [name, all[name as keyof typeof all]]))
  const unsigned = { seq: 0, ts: 0, ...message, op, ...fields } as ShowchainMessage
  return fieldsOf(op).some(([name]) => name === 'sign') && !('sign' in fields) ? signMessage(unsigned, signer) : unsigned
}
