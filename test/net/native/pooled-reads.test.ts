/** Reads into memory that is used again. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { release } from '../../../src/buffers/buffer-pool.ts'
import { canPoolReads, usePooledReads } from '../../../src/net/native/pooled-reads.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import { until } from '../../helpers/ends.ts'

async function sockets (t: Test): Promise<[Socket, Socket]> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [accepted] = await once(server, 'connection') as [Socket]
  t.teardown(() => {
    for (const socket of [client, accepted]) socket.destroy()
    server.close()
  })
  client.setNoDelay(true)
  return [client, accepted]
}

t.test('this Node can do it', async (t) => { t.ok(canPoolReads) })

for (const which of ['accepted', 'connected'] as const) {
  t.test(`a socket that was ${which}: its bytes, its pauses, its end`, async (t) => {
    const ends = await sockets(t)
    const [sender, reader] = which === 'accepted' ? ends : [ends[1], ends[0]]
    const sent = randomBytes(5_000_000)
    const got: Buffer[] = []
    const memory = new Set<ArrayBufferLike>()
    reader.resume()
    t.ok(usePooledReads(reader, (bytes) => {
      memory.add(bytes.buffer)
      got.push(Buffer.from(bytes))
      release([bytes])
      if (got.length % 7 !== 0) return true
      setImmediate(() => { reader.resume() })
      return false
    }))
    sender.end(sent)
    await once(reader, 'end')
    t.ok(Buffer.concat(got).equals(sent))
    t.ok(memory.size < got.length / 2, `${got.length} reads into ${memory.size} buffers`)
  })
}

t.test('small reads that wait hold no large buffers', async (t) => {
  const [sender, reader] = await sockets(t)
  const waiting: Uint8Array[] = []
  let total = 0
  reader.resume()
  usePooledReads(reader, (bytes) => {
    waiting.push(bytes)
    total += bytes.length
    return true
  })
  for (let count = 1; count <= 500; count++) {
    sender.write('x')
    await until(() => total === count)
  }
  const held = [...new Set(waiting.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0)
  t.ok(held < 200_000, `${held} bytes are held for ${total}`)
})

t.test('what cannot be lent is left as it is', async (t) => {
  const [, reader] = await sockets(t)
  reader.destroy()
  t.notOk(usePooledReads(reader, () => true), 'a socket that has ended')
  release([Buffer.from('of somebody else'), new Uint8Array(0)])
  const [here] = memoryPair()
  t.equal(here.poolReads, undefined, 'a stream that is no socket may keep what it is given')
})
