/** Pictures of a real X server. */
import t, { type Test } from 'tap'
import { runWorker } from '../../../../../../src/nodes/natpass/peer/desktop/worker/worker.ts'
import { pixelOf, startWorkerServer, type WorkerImage, type WorkerServer } from '../../../../../helpers/natpass/worker-client.ts'
import { startCommand } from '../../../../../helpers/programs/program.ts'
import { skipWithoutX11, startX, type XServer } from '../../../../../helpers/x11.ts'

const TOKEN = 'the token'

async function startWorker (t: Test, x: XServer): Promise<WorkerServer> {
  const server = await startWorkerServer(t)
  const stopped = new AbortController()
  const over = runWorker({ port: server.port, token: TOKEN, environment: x.env, signal: stopped.signal })
  t.teardown(async () => {
    stopped.abort()
    await over
  })
  await server.connected()
  return server
}

const isAt = (x: number, y: number, wanted: readonly number[]) => (image: WorkerImage): boolean => pixelOf(image, x, y).join() === wanted.join()

t.test('the whole screen, and what a program paints there', { skip: skipWithoutX11 }, async (t) => {
  const x = await startX(t)
  const server = await startWorker(t, x)
  t.equal(server.authorization, `Bearer ${TOKEN}`)
  const first = await server.capture()
  t.equal(first.msg, '')
  t.match(first, { ok: true, bits: 32, width: 640, height: 480 })
  t.equal(first.data.length, 640 * 480 * 4)
  t.same(pixelOf(first, 100, 100), [0, 0, 0, 255])
  t.match(await server.capture(), { ok: true, bits: 32, width: 640, height: 480, data: { length: 0 } }, 'unchanged')

  startCommand(t, 'xterm', ['-geometry', '20x5+50+60', '-bg', '#123456', '-fg', '#123456', '-bw', '0'], { env: x.env })
  const painted = await server.captureUntil(isAt(60, 70, [0x12, 0x34, 0x56, 255]))
  t.same(pixelOf(painted, 49, 70), [0, 0, 0, 255], 'beside the window')
  t.same(pixelOf(painted, 639, 479), [0, 0, 0, 255])
})
