/** Many links over one connection: one of them is slow, the other does not wait for it. */
import { over, stack, type Batch } from 'tunpipe'
import { compactMux, confusionPadding, lengthPrefix, linkMux, u32be } from 'tunpipe/transforms'
import { memoryPair } from 'tunpipe/transports'

const [left, right] = memoryPair() // any connection does, also under other layers
const padded = stack(lengthPrefix(u32be, { maxFrame: 100_000 }), confusionPadding())

async function * say (...texts: string[]): AsyncGenerator<Batch> {
  for (const text of texts) yield [Buffer.from(text)]
}

const server = linkMux({
  codec: compactMux({ role: 'server' }),
  async onOpen (opening) {
    const request = Buffer.from(opening.request).toString()
    if (request === 'echo') {
      const link = opening.accept(Buffer.from('welcome'))
      await link.sink(link.source)
    } else if (request === 'slow') {
      opening.accept(Buffer.from('wait')) // and nobody reads it
    } else {
      opening.reject(64, Buffer.from(`there is no ${request}`))
    }
  }
})(over(right, padded))

const client = linkMux({ codec: compactMux({ role: 'client' }) })(over(left, padded))

await client.open(Buffer.from('shell')).catch((err) => { console.log(err.code, err.reason, Buffer.from(err.response).toString()) })

const slow = await client.open(Buffer.from('slow'))
slow.sink(say(...Array(1000).fill('x'.repeat(1000)))).catch((err) => { console.log('slow:', err.message) })

const echo = await client.open(Buffer.from('echo'))
const said = echo.sink(say('hello, ', 'world'))
const heard: Uint8Array[] = []
for await (const batch of echo.source) heard.push(...batch)
await said
console.log(`${Buffer.from(echo.response).toString()}: ${Buffer.concat(heard).toString()}`)
console.log(`${client.links} link left`)

slow.abort(new Error('enough'))
client.close()
console.log('ended by', await client.ended ?? 'nobody', 'and', await server.ended ?? 'nobody')
