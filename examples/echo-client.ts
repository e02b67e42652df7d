/** Sends each word of the command line through the tunnel of examples/echo-tunnel.ts, and prints what comes back. */
import { over, stack, type Batch } from 'tunpipe'
import { checksum, confusionPadding, lengthPrefix, u32be } from 'tunpipe/transforms'
import { dialTcp } from 'tunpipe/transports'

const [port = '7000', ...words] = process.argv.slice(2)
const tunnel = stack(lengthPrefix(u32be), checksum('crc32'), confusionPadding({ max: 64 }))
const messages = over(await dialTcp({ host: '127.0.0.1', port: Number(port) }), tunnel)

async function * say (): AsyncGenerator<Batch> {
  yield words.map((word) => Buffer.from(word))
}

const said = messages.sink(say()) // its end closes our direction only, and the echo ends when it has sent the rest
for await (const batch of messages.source) {
  for (const message of batch) console.log(Buffer.from(message).toString())
}
await said
