/** The conformance cases of servers (natpass protocol, section 8), each with what the original does and what we do. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { dial, handshake, join, SECRET, type NatpassClient } from './client.ts'
import { data, ended, openLink, request, UNKNOWN } from './messages.ts'
import { fate, framesOf, isServed, messages, SILENCE } from './observed.ts'
import { vector } from './vectors.ts'
import { MessageType } from '../../../src/nodes/natpass/protocol/message-types.ts'
import { frameOfPayload } from '../../../src/nodes/natpass/protocol/frames.ts'
import { frameOf, type MessageInit } from '../../../src/nodes/natpass/protocol/messages.ts'
import { legacyProofOf } from '../../../src/nodes/natpass/protocol/proof.ts'

/** One case: what is done with a server, and what is seen then. Ids of clients begin with the name of the case. */
export interface Row {
  name: string
  run: (t: Test, port: number, id: (name: string) => string) => Promise<string>
  /** What the original does. */
  original: string
  /** What we do; left out where that is the same. */
  ours?: string
}

/** Seconds to the first keep-alive at most, on a machine that is busy. */
const LATEST = 11.5
const MINUTE = 60_000

const keepaliveTo = (to: string): MessageInit => ({ _type: MessageType.keepalive, to })
/** What becomes of a handshake. */
async function greeted (t: Test, port: number, message: MessageInit): Promise<string> {
  const client = await dial(t, port, String(message.from))
  client.send(message)
  const end = await fate(client)
  return end === 'open' ? await isServed(client) : end
}

const all = async (outcomes: Array<Promise<string>>): Promise<string> => (await Promise.all(outcomes)).join('; ')

export const rows: Row[] = [
  {
    name: '1',
    original: 'open; keepalive within 11 s',
    async run (t, port, id) {
      const client = await dial(t, port, id('a'))
      const begin = performance.now()
      client.send(handshake(client.id))
      const end = await fate(client)
      const { _type, from } = await client.next()
      const seconds = (performance.now() - begin) / 1000
      return `${end}; ${_type === MessageType.keepalive && from === 'server' ? 'keepalive' : `${_type} ${from}`} ${seconds < LATEST ? 'within 11 s' : `after ${seconds.toFixed(1)} s`}`
    }
  },
  {
    name: '2',
    original: 'closed, 0 bytes; closed, 0 bytes',
    run: (t, port, id) => all((['raw', 'hex'] as const).map((form) => greeted(t, port, handshake(id(form), { enc: legacyProofOf(SECRET, form) }))))
  },
  {
    name: '3',
    original: 'closed, 0 bytes; closed, 0 bytes; closed, 0 bytes',
    run: (t, port, id) => all([handshake(id('a'), { secret: 'another' }), handshake(id('b'), { enc: Buffer.alloc(63) }), { ...handshake(id('c')), hsp: undefined }].map((message) => greeted(t, port, message)))
  },
  {
    name: '4',
    original: 'closed, 0 bytes; closed, 0 bytes; closed, 0 bytes',
    ours: 'served; served; closed, 0 bytes',
    run: (t, port, id) => all([-1, 1, -3].map((minutes) => greeted(t, port, handshake(id(String(minutes)), { date: Date.now() + minutes * MINUTE }))))
  },
  {
    name: '5',
    original: 'served; closed, 0 bytes',
    run: (t, port, id) => all([9, 10].map(async (count) => {
      const client = await dial(t, port, id(String(count)))
      client.send(...Array<MessageInit>(count).fill(keepaliveTo('server')), handshake(client.id))
      const end = await fate(client)
      return end === 'open' ? await isServed(client) : end
    }))
  },
  {
    name: '6',
    original: 'closed after 50 s',
    ours: 'closed after 10 s',
    async run (t, port, id) {
      const client = await dial(t, port, id('a'))
      const begin = performance.now()
      await client.closed
      return `closed after ${Math.round((performance.now() - begin) / 1000)} s`
    }
  },
  {
    name: '7',
    original: 'served; served; deaf',
    ours: 'served; served; served',
    run: (t, port, id) => all([
      async () => {
        const client = await dial(t, port, id('bytes'))
        const frame = frameOf(handshake(client.id))
        client.send(frame.subarray(0, 6))
        for (const byte of frame.subarray(6)) {
          client.send(Buffer.of(byte))
          await delay(5)
        }
        return await isServed(client)
      },
      async () => {
        const client = await dial(t, port, id('handshake'))
        const frame = frameOf(handshake(client.id))
        client.send(frame.subarray(0, 20))
        await delay(2 * SILENCE)
        client.send(frame.subarray(20))
        return await isServed(client)
      },
      async () => {
        const client = await join(t, port, id('pause'))
        const frame = frameOf({ from: client.id, ...data(client.id, 'data', '') })
        client.send(frame.subarray(0, 9))
        await delay(2 * SILENCE)
        client.send(frame.subarray(9))
        return await isServed(client)
      }
    ].map((each) => each()))
  },
  {
    name: '8',
    original: 'closed; served',
    async run (t, port, id) {
      const [a, b] = [await join(t, port, id('a')), await join(t, port, id('b'))]
      a.send(vector('bad_crc_keepalive'))
      return `${await isServed(a)}; ${await isServed(b)}`
    }
  },
  {
    name: '9',
    original: 'closed; closed; closed',
    run: (t, port, id) => all(['invalid_utf8_from', 'bad_protobuf', 'gzip_keepalive_negative'].map(async (name) => {
      const client = await join(t, port, id(name))
      client.send(vector(name))
      return await isServed(client)
    }))
  },
  {
    name: '10',
    original: 'served; open',
    async run (t, port, id) {
      const client = await join(t, port, id('a'))
      client.send(vector('empty_message'))
      return `${await isServed(client)}; ${await fate(client)}`
    }
  },
  {
    name: '11',
    original: 'shellData A>B',
    async run (t, port, id) {
      const [a, b] = [await join(t, port, id('a')), await join(t, port, id('b'))]
      a.send({ ...data(b.id, 'data', ''), from: 'evil' })
      return abbreviated(await fate(b), a, b)
    }
  },
  {
    name: '12',
    original: 'as in the vector, with the true id',
    async run (t, port, id) {
      const [a, b] = [await join(t, port, id('a')), await join(t, port, id('b'))]
      const frames = framesOf(b)
      const unknown = vector('unknown_type_and_field_in').subarray(-3)
      const payload = (from: string): Buffer => Buffer.concat([frameOf({ _type: UNKNOWN, from, to: b.id }).subarray(6), unknown])
      a.send(frameOfPayload(payload('evil')))
      await fate(b)
      return frames[0]?.equals(frameOfPayload(payload(a.id))) ? 'as in the vector, with the true id' : frames.map((frame) => frame.toString('hex')).join()
    }
  },
  {
    name: '12, with an id of a link that nobody has opened',
    original: 'passed on',
    ours: 'dropped',
    async run (t, port, id) {
      const [a, b] = [await join(t, port, id('a')), await join(t, port, id('b'))]
      a.send(data(b.id, 'data', id('link')))
      return await fate(b) === 'open' ? 'dropped' : 'passed on'
    }
  },
  {
    name: '13',
    original: 'open',
    ours: 'connectRep server>A of L false',
    async run (t, port, id) {
      const a = await join(t, port, id('a'))
      a.send(request(id('nobody'), id('link')))
      return abbreviated(await fate(a), a, a).replace(id('link'), 'L')
    }
  },
  {
    name: '14',
    original: 'open',
    async run (t, port, id) {
      const [a, b] = [await join(t, port, id('a')), await join(t, port, id('b'))]
      a.send(keepaliveTo(b.id))
      return await fate(b)
    }
  },
  {
    name: '15',
    original: 'disconnect server>B of L',
    async run (t, port, id) {
      const [a, b] = [await join(t, port, id('a')), await join(t, port, id('b'))]
      await openLink(a, b, id('link'))
      a.socket.destroy()
      return abbreviated(await fate(b), a, b).replace(id('link'), 'L')
    }
  },
  {
    name: '16',
    original: 'B: disconnect E>B; then A to B: passed on',
    ours: 'B: nothing; then A to B: passed on',
    async run (t, port, id) {
      const [a, b, e] = [await join(t, port, id('a')), await join(t, port, id('b')), await join(t, port, id('e'))]
      await openLink(a, b, id('link'))
      e.send(ended(b.id, id('link')))
      await e.settled()
      await isServed(b)
      const seen = messages(b)
      a.send(data(b.id, 'data', id('link')))
      return `B: ${seen.length === 0 ? 'nothing' : 'disconnect E>B'}; then A to B: ${await fate(b) === 'open' ? 'dropped' : 'passed on'}`
    }
  },
  {
    name: '17',
    original: 'the former is closed, the new one closed',
    ours: 'the former is closed, the new one served',
    async run (t, port, id) {
      const a = await join(t, port, id('a'))
      const b = await dial(t, port, id('a'))
      b.send(handshake(b.id))
      const ends: string[] = []
      for (const client of [a, b]) {
        await fate(client) // the handshake of the new one may not have been read yet, nor the end of the former one
        ends.push(await isServed(client))
      }
      return `the former is ${ends[0]}, the new one ${ends[1]}`
    }
  },
  {
    name: '18',
    original: 'E gets nothing; A to B: passed on; after E is gone, A to B: passed on',
    ours: 'E gets a refusal; A to B: passed on; after E is gone, A to B: passed on',
    async run (t, port, id) {
      const [a, b, e] = [await join(t, port, id('a')), await join(t, port, id('b')), await join(t, port, id('e'))]
      await openLink(a, b, id('link'))
      e.send(request(b.id, id('link')))
      const answer = await fate(e)
      messages(b)
      const passes = async (): Promise<string> => {
        a.send(data(b.id, 'data', id('link')))
        return (await fate(b)).includes('shellData') ? 'passed on' : 'dropped'
      }
      const before = await passes()
      e.socket.destroy()
      await fate(b, SILENCE)
      return `E gets ${answer === 'open' ? 'nothing' : 'a refusal'}; A to B: ${before}; after E is gone, A to B: ${await passes()}`
    }
  }
]

/** Without what is told of an open connection, and with short names of the clients. */
const abbreviated = (outcome: string, a: NatpassClient, b: NatpassClient): string => outcome.replace(/^open: /, '').replaceAll(`>${b.id}`, b === a ? '>A' : '>B').replaceAll(`${a.id}>`, 'A>')
