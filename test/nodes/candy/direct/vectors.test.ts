/** Introductions, keys and datagrams of sessions are those of the golden vectors (candy protocol, section 2.7), made and read. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { hex, toHex } from '../../../helpers/bytes.ts'
import { address } from '../../../helpers/candy/vectors.ts'
import { loadSealing } from '../../../../src/crypto/index.ts'
import { AttemptKey, keyId } from '../../../../src/nodes/candy/peer/direct/attempt-key.ts'
import { DirectSession } from '../../../../src/nodes/candy/peer/direct/direct-session.ts'
import { DATAGRAM_LAYOUT } from '../../../../src/nodes/candy/protocol/datagrams.ts'
import { Secret } from '../../../../src/nodes/candy/protocol/hashes.ts'
import { newIntroducedHeartbeat, readIntroducedHeartbeat } from '../../../../src/nodes/candy/protocol/introduced-heartbeat.ts'
import { encodeIntroduction, introductionIn } from '../../../../src/nodes/candy/protocol/introduction.ts'
import { decodeConn, encodeConn } from '../../../../src/nodes/candy/protocol/messages.ts'

interface Vector {
  name: string
  hex: string
  inputs: Record<string, any>
}

const vectors: Vector[] = JSON.parse(readFileSync(new URL('../../../vectors/candy-direct.json', import.meta.url), 'utf8'))

function vector (name: string): Vector {
  const found = vectors.find((one) => one.name === name)
  if (found === undefined) throw new Error(`no vector ${name}`)
  return found
}

/** What both members agree on, as each of them. */
function agreed ({ password, lower, higher, lower_private_key_hex: a, higher_private_key_hex: b }: Record<string, any>): Array<{ send: Uint8Array, receive: Uint8Array }> {
  const secret = new Secret(password)
  const ends = [{ key: new AttemptKey(hex(a)), own: address(lower), other: address(higher) }, { key: new AttemptKey(hex(b)), own: address(higher), other: address(lower) }]
  return ends.map(({ key, ...addresses }, i) => {
    const keys = key.agree({ secret, ...addresses, publicKey: ends[1 - i].key.publicKey })
    if (keys === undefined) throw new Error('no keys')
    return keys
  })
}

t.test('introductions in CONN', async (t) => {
  for (const name of ['conn_introduced', 'conn_introduced_answer']) {
    const { hex: bytes, inputs } = vector(name)
    const key = new AttemptKey(hex(inputs.private_key_hex))
    const conn = { source: address(inputs.source), destination: address(inputs.destination), address: address(inputs.address), port: inputs.port }
    const introduction = {
      nat: inputs.nat,
      index: inputs.index,
      publicKey: key.publicKey,
      known: hex(inputs.known_hex),
      candidates: inputs.candidates.map((candidate: Record<string, any>) => ({ ...candidate, address: address(candidate.address) }))
    }
    t.equal(toHex(Buffer.concat([encodeConn(conn), encodeIntroduction(introduction)])), bytes, name)
    t.match(decodeConn(hex(bytes)), conn)
    const read = introductionIn(hex(bytes))
    t.same({ ...read, publicKey: toHex(read?.publicKey ?? hex('')), known: toHex(read?.known ?? hex('')) }, { ...introduction, publicKey: toHex(key.publicKey), known: inputs.known_hex })
  }
  const { inputs } = vector('conn_introduced')
  t.equal(toHex(keyId(new AttemptKey(hex(inputs.private_key_hex)).publicKey)), vector('conn_introduced_answer').inputs.known_hex, 'the answer names the key')
})

t.test('keys of both directions', async (t) => {
  const up = vector('direct_key_lower_to_higher')
  const down = vector('direct_key_higher_to_lower')
  const [lower, higher] = agreed(up.inputs)
  t.same([lower.send, lower.receive].map(toHex), [up.hex, down.hex])
  t.same([higher.send, higher.receive].map(toHex), [down.hex, up.hex])
})

t.test('heartbeats of introduced members', async (t) => {
  for (const name of ['introduced_heartbeat_plain', 'introduced_heartbeat_answer_plain']) {
    const { hex: bytes, inputs } = vector(name)
    const heartbeat = { sender: address(inputs.sender), id: inputs.id, wantsAnswer: inputs.wants_answer, echo: inputs.echo, echoDelay: inputs.echo_delay, echoSize: inputs.echo_size, loss: inputs.loss ?? undefined }
    t.equal(toHex(newIntroducedHeartbeat(heartbeat).subarray(DATAGRAM_LAYOUT.text)), bytes, name)
    t.same(readIntroducedHeartbeat(hex(bytes)), heartbeat)
  }
})

t.test('datagrams of a session', async (t) => {
  const sealing = await loadSealing()
  for (const name of ['session_heartbeat_sealed', 'session_heartbeat_answer_sealed', 'session_forward_sealed']) {
    const { hex: bytes, inputs } = vector(name)
    const isLower = inputs.from === 'lower'
    const sender = (): DirectSession => {
      const keys = agreed(inputs)[isLower ? 0 : 1]
      return new DirectSession({ sealing, keys, indexIn: 0, indexOut: inputs.index })
    }
    const text = hex(inputs.plaintext_hex)
    if (inputs.counter === 1) {
      const datagram = Buffer.concat([Buffer.alloc(DATAGRAM_LAYOUT.text), text])
      sender().seal(datagram)
      t.equal(toHex(datagram), bytes, name)
    }
    const receiver = new DirectSession({ sealing, keys: agreed(inputs)[isLower ? 1 : 0], indexIn: inputs.index, indexOut: 0 })
    const datagram = hex(bytes)
    t.equal(receiver.open(datagram), undefined, `${name} opens`)
    t.equal(toHex(datagram.subarray(DATAGRAM_LAYOUT.text)), inputs.plaintext_hex)
    t.equal(receiver.newest, inputs.counter)
    t.equal(receiver.open(hex(bytes)), 'replayed', 'once')
    const back = sender()
    t.equal(back.open(hex(bytes)), 'sealed', 'not by its sender')
  }
})
