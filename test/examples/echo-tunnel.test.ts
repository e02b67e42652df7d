import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { AsyncQueue } from '../../src/streams/async-queue.ts'
import { over, stack } from '../../src/layer.ts'
import { checksum, confusionPadding, lengthPrefix, u32be } from '../../src/transforms/index.ts'
import { dialTcp } from '../../src/transports/tcp.ts'
import { ended, rawTcp } from '../helpers/raw-sockets.ts'
import type { Program } from '../helpers/programs/program.ts'
import { startExample } from '../helpers/programs/example.ts'

const tunnel = stack(lengthPrefix(u32be), checksum('crc32'), confusionPadding({ max: 64 }))

async function startEcho (t: Test): Promise<{ program: Program, port: number }> {
  const program = startExample(t, 'echo-tunnel.ts', ['0'])
  const [, port] = await program.find(/^listening on port (\d+)$/m)
  return { program, port: Number(port) }
}

/** A client that sends a message, and waits for it to come back. */
async function client (t: Test, port: number) {
  const link = await dialTcp({ host: '127.0.0.1', port })
  t.teardown(() => { link.abort(new Error('the test is over')) })
  const messages = over(link, tunnel)
  const outgoing = new AsyncQueue()
  const sent = messages.sink(outgoing)
  sent.catch(() => {}) // told by `finish`, if anybody asks
  const incoming = messages.source[Symbol.asyncIterator]()
  return {
    async echo (text: string | Uint8Array): Promise<Buffer> {
      outgoing.push(Buffer.from(text))
      const { value: [message] } = await incoming.next()
      return Buffer.from(message)
    },
    /** Ends its own direction, then waits for the end of the other one. */
    async finish (): Promise<boolean> {
      outgoing.end()
      await sent
      return (await incoming.next()).done === true
    }
  }
}

t.test('one client resets, another sends rubbish, and a third goes on', async (t) => {
  const { program, port } = await startEcho(t)
  const good = await client(t, port)
  t.equal(String(await good.echo('before')), 'before')

  const resetting = await rawTcp(port)
  resetting.socket.write(Buffer.from('000000ff0102', 'hex')) // the beginning of a message
  t.equal(String(await good.echo('meanwhile')), 'meanwhile')
  resetting.reset()
  const wrong = await rawTcp(port)
  wrong.socket.write(Buffer.from('0000000500000000ff', 'hex')) // its checksum does not match
  await ended(wrong.socket)

  for (const size of [0, 1, 1400, 60_000]) {
    const bytes = randomBytes(size)
    t.ok((await good.echo(bytes)).equals(bytes), `${size} bytes`)
  }
  t.ok(await good.finish(), 'half-close goes through all layers')
  t.equal(String(await (await client(t, port)).echo('later')), 'later', 'and others still get in')
  t.equal(program.child.exitCode, null)
  t.equal(program.stderr, '')
})

t.test('the client that comes with it', async (t) => {
  const { port } = await startEcho(t)
  t.same(await startExample(t, 'echo-client.ts', [String(port), 'hello', 'there']).ended, { code: 0, stderr: '', stdout: 'hello\nthere\n' })
})
