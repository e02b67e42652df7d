/** Credit of requests on a link of type code (natpass protocol, section 6.6). */
import t from 'tap'
import { turn } from '../../../../helpers/ends.ts'
import { CodeChannel, Mask, type CodeStream } from '../../../../../src/nodes/natpass/peer/code/code-channel.ts'
import { MessageType } from '../../../../../src/nodes/natpass/protocol/message-types.ts'
import { bodyOf, messageOfBody, type MessageInit } from '../../../../../src/nodes/natpass/protocol/messages.ts'
import { AsyncQueue } from '../../../../../src/streams/async-queue.ts'
import type { MuxLink } from '../../../../../src/transforms/link-mux/index.ts'

/** The first credit of each direction of a request, and what a piece costs beyond its bytes. */
const WINDOW = 131_072
const OVERHEAD = 64

const PIECE = 32_768 - OVERHEAD

function channel (halfClose = true) {
  const incoming = new AsyncQueue()
  const sent: MessageInit[] = []
  let aborted: Error | undefined
  let isSlow = false
  let wake = (): void => {}
  const link = {
    halfClose,
    dropped: 0,
    source: incoming,
    sink: async (source: AsyncIterable<Uint8Array[]>) => {
      for await (const batch of source) {
        sent.push(...batch.map(messageOfBody))
        if (isSlow) await new Promise<void>((resolve) => { wake = resolve })
      }
    },
    abort: (err: Error) => {
      aborted ??= err
      incoming.end()
    }
  }
  const of = new CodeChannel(link as unknown as MuxLink)
  return {
    of,
    link,
    sent,
    over: of.run(),
    gets: (message: MessageInit) => { incoming.push(bodyOf(message)) },
    get aborted () { return aborted },
    slow (is: boolean): void {
      isSlow = is
      wake()
    }
  }
}

const piece = (id: number, bytes = PIECE): MessageInit => ({ _type: MessageType.codeResponseBody, csrep_body: { request_id: id, mask: Mask.ok, body: Buffer.alloc(bytes) } })

t.test('a sender waits for credit, and goes on with it; one that is over does not wait', async (t) => {
  const { of, gets, sent } = channel()
  const stream = of.add(1, { take () {}, fail () {} })
  let written = 0
  let result: boolean | undefined
  void (async () => {
    while ((result = await stream.write(piece(1), PIECE))) written++
  })()
  for (let i = 0; i < 20; i++) await turn()
  t.equal(written, WINDOW / (PIECE + OVERHEAD))
  gets({ _type: MessageType.codeWindow, cswindow: { request_id: 1, bytes: PIECE + OVERHEAD - 1 } })
  for (let i = 0; i < 5; i++) await turn()
  t.equal(sent.length, 4, 'not enough for a piece')
  gets({ _type: MessageType.codeWindow, cswindow: { request_id: 1, bytes: 1 } })
  for (let i = 0; i < 5; i++) await turn()
  t.equal(sent.length, 5)
  stream.close()
  for (let i = 0; i < 5; i++) await turn()
  t.equal(result, false)
  t.equal(of.size, 0)
})

t.test('a receiver grants what was passed on, and ends the link on which more comes', async (t) => {
  const { of, gets, sent, over } = channel()
  const failed: Error[] = []
  let isConsumed = true
  let taken = 0
  const stream: CodeStream = of.add(1, { take: () => { taken++; if (isConsumed) stream.consumed(PIECE) }, fail: (err) => { failed.push(err) } })
  for (let i = 0; i < 8; i++) gets(piece(1))
  for (let i = 0; i < 5; i++) await turn()
  t.match(sent.map(({ cswindow }) => cswindow?.bytes), Array.from({ length: 4 }, () => WINDOW / 2))
  isConsumed = false
  for (let i = 0; i < 4; i++) gets(piece(1))
  for (let i = 0; i < 5; i++) await turn()
  t.equal(failed.length, 0)
  gets(piece(1, 0))
  t.match(await over, { code: 'ERR_CODE_CHANNEL', message: '64 bytes beyond the credit of a request' })
  t.equal(taken, 12)
  t.match(failed, [{ code: 'ERR_CODE_CHANNEL' }])
})

t.test('a link that is not read holds up its senders', async (t) => {
  const tested = channel(false)
  tested.slow(true)
  const stream = tested.of.add(1, { take () {}, fail () {} })
  let written = 0
  void (async () => { while (written < 30 && await stream.write(piece(1), PIECE)) written++ })()
  for (let i = 0; i < 50; i++) await turn()
  t.ok(written >= 3 && written < 10, `${written} pieces`)
  tested.slow(false)
  for (let i = 0; i < 50; i++) await turn()
  t.equal(written, 30)
  tested.of.close(new Error('over'))
})

t.test('lost messages end a link', async (t) => {
  const { gets, link, over } = channel(false)
  link.dropped = 1
  gets(piece(1))
  t.match(await over, { code: 'ERR_CODE_CHANNEL', message: /are lost/ })
})

t.test('what is added to a link that is over fails', async (t) => {
  const { of, sent } = channel()
  of.close(new Error('over'))
  const failed = new Promise<Error>((resolve) => { of.add(1, { take () {}, fail: resolve }).send(piece(1)) })
  t.match(await failed, { message: 'over' })
  t.same([of.size, sent], [0, []])
})
