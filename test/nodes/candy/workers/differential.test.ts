/** One script of what clients do, with one worker and with three: each client is told the same. */
import t, { type Test } from 'tap'
import { encodeAuth, encodeVmac } from '../../../../src/nodes/candy/protocol/handshake.ts'
import { Secret } from '../../../../src/nodes/candy/protocol/hashes.ts'
import { toHex } from '../../../helpers/bytes.ts'
import { addr, forward, PASSWORD, seconds, secret, type CandyClient } from '../../../helpers/candy/client.ts'
import { numbered, numberOf, serve, type Crew } from '../../../helpers/candy/crew.ts'

const ALL = '255.255.255.255'
const NOW = seconds()
const auth = (address: string, known = secret): Uint8Array => encodeAuth({ secret: known, address: addr(address), timestamp: NOW })

/** What one client has got, and how it has ended, if it has. */
type Told = Record<string, unknown>

/** Where a frame begins in the stream depends on how many pings of the relay the client has answered before. */
const withoutOffset = ({ reason, ...rest }: Awaited<CandyClient['closed']>): object => ({ ...rest, reason: reason.replace(/at byte \d+ of/, 'at some byte of') })

async function play (crew: Crew): Promise<Told> {
  const told: Told = {}
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
  const clients: Record<string, CandyClient> = {}
  for (const [i, name] of names.entries()) {
    clients[name] = await crew.connect()
    await clients[name].join(String(i).repeat(16))
  }
  const at = (name: string): string => `10.77.0.${names.indexOf(name) + 1}`
  /** Lets what was sent arrive: each tells each other, after which nothing of theirs is on its way. */
  const quiet = async (round: number, who = names): Promise<void> => {
    for (const from of who) clients[from].send(...who.map((to) => numbered(at(from), at(to), 0x7000_0000 + round)))
    const mark = (0x7000_0000 + round).toString(16)
    for (const name of who) {
      const last = (): number => clients[name].inbox.filter((message) => toHex(message.subarray(21, 25)) === mark).length
      while (last() < who.length) await clients[name].settled()
    }
  }
  for (const from of names) {
    for (const to of names) clients[from].send(numbered(at(from), at(to), 1), numbered(at(from), ALL, 2), numbered(at(from), at(to), 3))
    clients[from].send(forward('9.9.9.9', at('a')), forward(at(from), '10.77.0.99'), new Uint8Array([99, 1, 2]), new Uint8Array(0), forward(at(from), '10.77.0.255'))
  }
  await quiet(1)
  const gets = async (name: string, number: number): Promise<void> => {
    while (!clients[name].inbox.some((message) => message.length > 24 && numberOf(message) === number)) await clients[name].settled()
  }
  clients.a.send(auth('10.77.0.77'), numbered('10.77.0.77', at('b'), 4)) // another address
  await gets('b', 4)
  clients.b.send(auth(at('g')), numbered(at('g'), at('c'), 5)) // somebody else's
  await clients.g.closed
  await gets('c', 5)
  clients.c.send(numbered(at('c'), '10.77.0.77', 6), numbered(at('c'), at('g'), 7), numbered(at('c'), at('a'), 8))
  await gets('a', 6)
  await gets('b', 7)
  clients.d.send(new Uint8Array([1, 2]), numbered(at('d'), at('c'), 9)) // malformed, and nothing after it
  clients.e.send(encodeVmac({ secret: new Secret('wrong'), vmac: 'e'.repeat(16), timestamp: NOW }))
  clients.f.send(new Uint8Array(2000))
  for (const name of ['d', 'e', 'f']) await clients[name].closed
  names.splice(3)
  await quiet(2, ['c'])
  for (const [name, client] of Object.entries(clients)) {
    const bySender = new Map<string, string[]>() // between senders there is no order
    for (const message of client.inbox) {
      const sender = message[0] === 1 ? message.subarray(13, 17).join('.') : 'relay'
      bySender.set(sender, [...bySender.get(sender) ?? [], toHex(message)])
    }
    told[name] = { closed: 'defg'.includes(name) ? withoutOffset(await client.closed) : 'no', got: [...bySender].sort(([x], [y]) => x < y ? -1 : 1) }
  }
  return told
}

async function outcome (t: Test, workers: number): Promise<Told> {
  const crew = await serve(t, { workers, password: PASSWORD })
  t.equal(crew.server.workers, workers)
  return await play(crew)
}

t.test('three workers do what one does', async (t) => {
  t.same(await outcome(t, 3), await outcome(t, 1))
})
