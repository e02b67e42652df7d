/** Connections that bring a command or messages, and how they are told from each other. */
import t from 'tap'
import { ManualClock } from '../../../helpers/clock.ts'
import { hear, turn } from '../../../helpers/ends.ts'
import { framed, requestOf } from '../../../helpers/rustdesk/relay.ts'
import { withoutCommands } from '../../../../src/nodes/rustdesk/protocol/console-connection.ts'
import { AsyncQueue } from '../../../../src/streams/async-queue.ts'
import type { ConnectionInfo } from '../../../../src/transports/connection-guard.ts'
import { memoryPair } from '../../../../src/transports/memory/pair.ts'
import type { Link } from '../../../../src/types.ts'

const TAGS: ReadonlySet<number> = new Set([0x92])

/** A connection, what it was asked, and what it is answered. */
function open () {
  const [client, server] = memoryPair()
  const clock = new ManualClock()
  const commands: string[] = []
  const outgoing = new AsyncQueue()
  client.sink(outgoing).catch(() => {})
  const command = (text: string): string => {
    commands.push(text)
    return 'an answer'
  }
  const result = withoutCommands(server as Link & ConnectionInfo, { tags: TAGS, command, clock })
  return { clock, commands, outgoing, result, answer: hear(client.source).then((parts) => Buffer.concat(parts).toString(), (err: Error) => err) }
}

t.test('a message is one in whatever pieces it comes', async (t) => {
  for (const message of [framed(requestOf('u')), framed(requestOf('u'.repeat(60))), framed(requestOf('u'.repeat(30), 'k'.repeat(300)))]) {
    for (let size = 1; size <= message.length; size = size < 8 ? size + 1 : size * 2) {
      const { outgoing, result, commands } = open()
      for (let at = 0; at < message.length; at += size) {
        outgoing.push(message.subarray(at, at + size))
        await turn()
      }
      outgoing.end()
      const rest = await result
      t.ok(Buffer.concat(await hear((rest as Link).source)).equals(message), `${message.length} bytes in parts of ${size}`)
      t.same(commands, [])
    }
  }
})

t.test('a line is a command, also one whose letters would be the header of a frame', async (t) => {
  for (const line of ['h\n', 'u\n', 'ib\n', 'rs a.example,b.example\r\n', 'blacklist\n', 'k']) {
    const { outgoing, result, commands, answer } = open()
    outgoing.push(Buffer.from(line))
    if (!line.endsWith('\n')) outgoing.end()
    await turn()
    outgoing.end()
    t.equal(await answer, 'an answer', JSON.stringify(line))
    t.equal(await result, undefined)
    t.same(commands, [line])
  }
})

t.test('what is neither after a second is a command; nothing ends the connection', async (t) => {
  const { clock, outgoing, result, commands, answer } = open()
  outgoing.push(Buffer.from('u'))
  await turn()
  await clock.pass(999)
  t.same(commands, [])
  await clock.pass(1)
  outgoing.end()
  t.equal(await answer, 'an answer')
  t.equal(await result, undefined)
  t.same(commands, ['u'])
  const silent = open()
  await silent.clock.pass(1000)
  t.equal(await silent.result, undefined)
  t.match(await silent.answer, { code: 'ERR_LINK_CLOSED' })
  t.same(silent.commands, [])
})

t.test('what is no text is not run', async (t) => {
  for (const bytes of [Buffer.from([0x04, 0xff, 0xff]), Buffer.alloc(1025, 'x')]) {
    const { outgoing, result, commands, answer } = open()
    outgoing.push(bytes)
    await turn()
    outgoing.end()
    t.equal(await answer, '')
    t.equal(await result, undefined)
    t.same(commands, [])
  }
})
