/** Pictures of a real X server. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { WorkerMessageType } from '../../../../../../src/nodes/natpass/peer/desktop/worker/worker-messages.ts'
import { pixelOf, startWorker, TOKEN, type WorkerImage } from '../../../../../helpers/natpass/worker-client.ts'
import { startCommand } from '../../../../../helpers/programs/program.ts'
import { resizeX, skipWithoutX11, startX } from '../../../../../helpers/x11.ts'

const BLACK = [0, 0, 0, 255]
const BLUE = [0x12, 0x34, 0x56, 255]
const RED = [255, 0, 0, 255]

/** A window without anything in it but its colour, from 50, 60 on. */
const WINDOW = ['-geometry', '20x5+50+60', '-bg', '#123456', '-fg', '#123456', '-cr', '#123456', '-ms', '#ff0000', '-bw', '0', '+sb', '-e', 'sleep', '1000']

const isAt = (x: number, y: number, wanted: readonly number[]) => (image: WorkerImage): boolean => pixelOf(image, x, y).join() === wanted.join()

/** Pixels of a colour around a place. */
function count (image: WorkerImage, x: number, y: number, wanted: readonly number[]): number {
  let found = 0
  for (let row = y - 10; row < y + 10; row++) for (let column = x - 10; column < x + 10; column++) if (isAt(column, row, wanted)(image)) found++
  return found
}

const WAYS = { 'by shared memory': [], 'by requests': ['-extension', 'MIT-SHM'] }

for (const [way, args] of Object.entries(WAYS)) {
  t.test(`the whole screen, and what a program paints there, ${way}`, { skip: skipWithoutX11 }, async (t) => {
    const x = await startX(t, { args })
    const { server } = await startWorker(t, x.env)
    t.equal(server.authorization, `Bearer ${TOKEN}`)
    const first = await server.capture()
    if (args.length === 0) t.match(readFileSync('/proc/self/maps', 'latin1'), /\/SYSV/, 'a segment of this process')
    t.match(first, { ok: true, bits: 32, width: 640, height: 480 })
    t.equal(first.data.length, 640 * 480 * 4)
    t.same(pixelOf(first, 100, 100), BLACK)
    t.match(await server.capture(), { ok: true, bits: 32, width: 640, height: 480, data: { length: 0 } }, 'unchanged')

    startCommand(t, 'xterm', WINDOW, { env: x.env })
    const painted = await server.captureUntil(isAt(60, 70, BLUE))
    t.same(pixelOf(painted, 49, 70), BLACK, 'beside the window')
    t.same(pixelOf(painted, 60, 59), BLACK, 'above it')
    t.same(pixelOf(painted, 639, 479), BLACK)
  })
}

t.test('an X server that tells no changes: each picture is whole', { skip: skipWithoutX11 }, async (t) => {
  const x = await startX(t, { args: ['-extension', 'DAMAGE'] })
  const { server } = await startWorker(t, x.env)
  startCommand(t, 'xterm', WINDOW, { env: x.env })
  await server.captureUntil(isAt(60, 70, BLUE))
  t.equal((await server.capture()).data.length, 640 * 480 * 4)
})

t.test('the pointer is drawn on request, and leaves nothing behind', { skip: skipWithoutX11 }, async (t) => {
  const x = await startX(t)
  const { server } = await startWorker(t, x.env)
  await server.capture()
  server.move(80, 90)
  t.equal((await server.capture()).data.length, 0, 'without a pointer in the picture its moves are no change')
  startCommand(t, 'xterm', WINDOW, { env: x.env })
  await server.captureUntil(isAt(60, 70, BLUE))
  const showCursor = (value: boolean): void => { server.send({ _type: WorkerMessageType.setCursor, show_cursor: value }) }
  showCursor(true)
  const shown = await server.captureUntil((image) => count(image, 80, 90, RED) > 0)
  t.equal(count(shown, 120, 90, RED), 0)
  server.move(120, 90)
  const moved = await server.captureUntil((image) => count(image, 120, 90, RED) > 0)
  t.equal(count(moved, 80, 90, BLUE), 400, 'what was under it')
  t.equal((await server.capture()).data.length, 0, 'a pointer that rests')
  server.move(0, 0)
  t.ok(await server.captureUntil((image) => count(image, 120, 90, BLUE) === 400), 'partly outside the screen')
  server.move(120, 90)
  await server.captureUntil((image) => count(image, 120, 90, RED) > 0)
  showCursor(false)
  t.ok(await server.captureUntil((image) => count(image, 120, 90, BLUE) === 400))
})

t.test('another size of the screen: larger and smaller', { skip: skipWithoutX11 }, async (t) => {
  const x = await startX(t, { size: '1024x768' })
  const { server } = await startWorker(t, x.env)
  startCommand(t, 'xterm', WINDOW, { env: x.env })
  await server.captureUntil(isAt(60, 70, BLUE))
  for (const [width, height] of [[640, 480], [1024, 768], [800, 600]]) {
    await resizeX(x, width, height)
    const image = await server.captureUntil((image) => image.width === width)
    t.equal(image.height, height)
    t.equal(image.data.length, width * height * 4)
    t.same(pixelOf(image, 60, 70), BLUE)
    t.same(pixelOf(image, width - 1, height - 1), BLACK)
  }
})
