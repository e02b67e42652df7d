/**
 * A tunnel of your own: length, checksum and padding around each message, over TCP; the other end is an echo. Try it with
 * examples/echo-client.ts, which wraps its connection in the same three layers.
 */
import { pipe } from 'it-pipe'
import { over, stack, type Batch } from 'tunpipe'
import { checksum, confusionPadding, lengthPrefix, u32be } from 'tunpipe/transforms'
import { listenTcp } from 'tunpipe/transports'

const tunnel = stack(lengthPrefix(u32be), checksum('crc32'), confusionPadding({ max: 64 }))
const echo = (messages: AsyncIterable<Batch>): AsyncIterable<Batch> => messages

const listener = listenTcp({ host: '127.0.0.1', port: Number(process.argv[2] ?? 7000) })
console.log(`listening on port ${await listener.port()}`)
for await (const link of listener) {
  const messages = over(link, tunnel)
  pipe(messages.source, echo, messages.sink).catch((err) => { link.abort(err) }) // one client's reset ends one link
}
