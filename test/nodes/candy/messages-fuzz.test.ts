import { deepEqual } from 'node:assert/strict'
import t from 'tap'
import { stripOuter, unwrapForward, wrapForward } from '../../../src/nodes/candy/protocol/forward.ts'
import { decodeAuth, decodeDhcp, decodeVmac, encodeAuth, encodeDhcp, encodeVmac, type Proven } from '../../../src/nodes/candy/protocol/handshake.ts'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import {
  CandyMessageError, decodeConn, decodeDiscovery, decodeGeneral, encodeConn, encodeDiscovery, encodeGeneral, localEndpoint, MAX_LENGTH
} from '../../../src/nodes/candy/protocol/messages.ts'
import { decodeRoute, encodeRoutes } from '../../../src/nodes/candy/protocol/routes.ts'
import { hex, mutate, random } from '../../helpers/bytes.ts'
import { mutations } from '../../helpers/sample.ts'
import { PASSWORD, vectors } from '../../helpers/candy/vectors.ts'

const ROUNDS = mutations()

const secret = new Secret(PASSWORD)

type Encoder<M> = (message: M & { timestamp: number, secret: Secret }) => Uint8Array

/** Encodes and decodes again, which has to give the same but for the hash; time stamps beyond the numbers cannot be encoded. */
function again<M extends Proven> (message: M, encode: Encoder<M>, decode: (bytes: Uint8Array) => M): void {
  const { timestamp } = message
  if (timestamp === undefined) return
  const second = decode(encode({ ...message, timestamp, secret }))
  deepEqual({ ...second, hash: undefined }, { ...message, covered: Uint8Array.from(message.covered), hash: undefined })
}

const roundTrips: Array<(bytes: Uint8Array) => void> = [
  (bytes) => { again(decodeAuth(bytes), encodeAuth, decodeAuth) },
  (bytes) => { again(decodeDhcp(bytes), encodeDhcp, decodeDhcp) },
  (bytes) => { again(decodeVmac(bytes), encodeVmac, decodeVmac) },
  (bytes) => {
    const message = decodeConn(bytes)
    deepEqual(decodeConn(encodeConn(message)), message)
  },
  (bytes) => {
    const message = decodeDiscovery(bytes)
    deepEqual(decodeDiscovery(encodeDiscovery(message)), message)
  },
  (bytes) => {
    const message = decodeGeneral(bytes)
    localEndpoint(message)
    deepEqual(encodeGeneral(message), Uint8Array.from(bytes))
  },
  (bytes) => {
    const routes = decodeRoute(bytes)
    deepEqual(encodeRoutes(routes).flatMap(decodeRoute), routes)
  },
  (bytes) => {
    const packet = unwrapForward(bytes)
    deepEqual(wrapForward(packet), Uint8Array.from(bytes))
    const stripped = stripOuter(packet)
    if (stripped !== undefined && stripped.length > packet.length) throw new Error('stripping made it longer')
  }
]

/** How many of the decoders took it. Any error but the one that they may raise ends the test. */
function accepted (bytes: Uint8Array): number {
  let taken = 0
  for (const roundTrip of roundTrips) {
    try {
      roundTrip(bytes)
      taken++
    } catch (err) {
      if (!(err instanceof CandyMessageError)) throw err
    }
  }
  return taken
}

t.test('damaged messages give a value or a CandyMessageError, in every decoder', async (t) => {
  const samples = vectors.map((v) => hex(v.hex))
  const below = random(6)
  let taken = 0
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = mutate(samples[below(samples.length)], below)
    try {
      taken += accepted(bytes)
    } catch (err) {
      t.fail(`round ${round}: ${Buffer.from(bytes).toString('hex')}`, { found: err })
      return
    }
  }
  t.ok(taken > ROUNDS / 10, `${taken} were accepted`)
})

t.test('the longest message of every type, filled with anything', async (t) => {
  const greedy: string[] = []
  for (let type = 0; type < 256; type++) {
    for (const fill of [0x00, 0x31, 0x7f, 0x80, 0xff]) {
      const bytes = new Uint8Array(MAX_LENGTH).fill(fill)
      bytes[0] = type
      if (accepted(bytes) > 1) greedy.push(`type ${type} filled with ${fill}`)
    }
  }
  t.same(greedy, [], 'no message is of two types')
})
