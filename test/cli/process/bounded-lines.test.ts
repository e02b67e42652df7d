import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { BoundedLines } from '../../../src/cli/process/bounded-lines.ts'
import { turn } from '../../helpers/ends.ts'
import { startScript } from '../../helpers/programs/program.ts'

const script = fileURLToPath(new URL('../../helpers/cli/talker.ts', import.meta.url))

/** A reader that takes a line when it is told to. */
function reader () {
  const lines: string[] = []
  const waiting: Array<() => void> = []
  const stream = new Writable({
    decodeStrings: false,
    highWaterMark: 1,
    write (line: string, _, done) {
      lines.push(line.trim())
      waiting.push(done)
    }
  })
  const takeAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      waiting.shift()?.()
      await turn()
    }
  }
  return { lines, stream, takeAll }
}

t.test('a reader that stalls costs no more than the bound, and is told what it has missed', async (t) => {
  const { lines, stream, takeAll } = reader()
  const out = new BoundedLines(() => stream, { limit: 10_000, notice: (dropped) => `${dropped} dropped\n` })
  for (let i = 0; i < 1000; i++) out.write(`line ${i}\n`)
  t.ok(stream.writableLength <= 10_000)
  t.ok(out.dropped > 900)
  const { dropped } = out
  await takeAll()
  t.equal(lines.length, 1000 - dropped + 1)
  t.same(lines.slice(-2), [`line ${1000 - dropped - 1}`, `${dropped} dropped`], 'where they are missing, without a further line')
  out.write('line after\n')
  await takeAll()
  t.equal(lines.at(-1), 'line after')
  t.equal(out.dropped, dropped)
})

t.test('one line over the bound', async (t) => {
  const { lines, stream, takeAll } = reader()
  const out = new BoundedLines(() => stream, { limit: 10_000, notice: (dropped) => `${dropped} dropped\n` })
  out.write(`${'x'.repeat(10_000)}\n`)
  out.write('short\n')
  await takeAll()
  t.same(lines, ['1 dropped', 'short'])
})

for (const stream of ['stdout', 'stderr'] as const) {
  t.test(`a program whose ${stream} nobody reads goes on in bounded memory`, async (t) => {
    const program = startScript(t, script, [stream])
    program.child[stream]?.pause()
    const other = stream === 'stdout' ? 'stderr' : 'stdout'
    const [, waiting, dropped] = await program.find(/^(\d+) bytes wait, (\d+) dropped$/m, other)
    t.ok(Number(waiting) < 2 ** 20 + 1)
    t.ok(Number(dropped) > 0)
    program.child[stream]?.resume()
    await program.find(new RegExp(stream === 'stdout' ? `"event":"dropped","lines":${dropped}` : `"dropped":${dropped},"msg":"log lines dropped`), stream)
    program.signal('SIGTERM')
    await program.ended
  })
}
