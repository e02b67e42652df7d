/** A layer of your own: bytes below, lines of text above. The two cores know nothing of sockets, so they are easy to test. */
import { StringDecoder } from 'node:string_decoder'
import { codec, over, TruncatedError, type Batch } from 'tunpipe'
import { FrameSizeError } from 'tunpipe/transforms'
import { memoryPair } from 'tunpipe/transports'

const LONGEST_LINE = 4096

const lines = codec<Uint8Array, string>(() => { // called once a link, so the state in here belongs to that link alone
  const text = new StringDecoder('utf8')
  let rest = ''
  return {
    decode: {
      push (batch) {
        const all = (rest + batch.map((bytes) => text.write(bytes)).join('')).split('\n')
        rest = all.pop() ?? ''
        if (rest.length > LONGEST_LINE) throw new FrameSizeError(`a line is longer than ${LONGEST_LINE} characters`)
        return all
      },
      end () {
        if (rest !== '') throw new TruncatedError('the last line has no end')
      }
    },
    encode: { push: (batch) => [Buffer.from(batch.map((line) => `${line}\n`).join(''))] }
  }
})

async function * say (...batches: Array<Batch<string>>): AsyncGenerator<Batch<string>> {
  yield * batches
}

const [here, there] = memoryPair().map((link) => over(link, lines))
const said = here.sink(say(['one', 'two'], ['three']))
for await (const batch of there.source) console.log(batch)
await said
