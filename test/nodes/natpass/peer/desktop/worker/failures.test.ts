/** What a worker says where there is no desktop, and how it ends: `peer natpass vnc.worker`. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startWorkerServer, TOKEN, type WorkerServer } from '../../../../../helpers/natpass/worker-client.ts'
import { startCommand, startProgram, runProgram, type Program } from '../../../../../helpers/programs/program.ts'
import { skipWithoutX11, startX } from '../../../../../helpers/x11.ts'

const COMMAND = ['natpass', 'vnc.worker', '--name', 'desk', '--port']
const NO_DESKTOP = { DISPLAY: '', WAYLAND_DISPLAY: '', XAUTHORITY: '', TUNPIPE_WORKER_TOKEN: TOKEN }

async function startWorkerProgram (t: Test, env: Readonly<Record<string, string>>): Promise<{ server: WorkerServer, program: Program }> {
  const server = await startWorkerServer(t)
  const program = startProgram(t, 'peer', [...COMMAND, String(server.port)], { env: { ...NO_DESKTOP, ...env } })
  await server.connected()
  return { server, program }
}

/** Puts a secret for an X server into a file. */
function authorize (file: string, display: string, secret: string): void { execFileSync('xauth', ['-f', file, 'add', display, '.', secret], { stdio: 'ignore' }) }

t.test('where there is no desktop', async (t) => {
  const reasons: Array<[Record<string, string>, RegExp]> = [
    [{}, /^this peer has no desktop: DISPLAY is not set$/],
    [{ WAYLAND_DISPLAY: 'wayland-0' }, /Wayland without an X server/],
    [{ DISPLAY: 'nonsense' }, /^DISPLAY is "nonsense", expected one such as :0$/],
    [{ DISPLAY: ':59535' }, /^the X server :59535 cannot be reached: .*ENOENT/],
    [{ DISPLAY: ':59536' }, /expected one such as :0$/]
  ]
  for (const [env, text] of reasons) {
    const { server, program } = await startWorkerProgram(t, env)
    for (let times = 0; times < 2; times++) {
      const { ok, msg } = await server.capture()
      t.equal(ok, false)
      t.match(msg, text)
    }
    t.equal(await server.readClipboard(), '')
    server.type('a')
    ;(await server.connected()).close()
    t.equal((await program.ended).code, 0)
  }
})

t.test('an X server that refuses', { skip: skipWithoutX11 }, async (t) => {
  const folder = t.testdir()
  const [own, wrong, right] = ['own', 'wrong', 'right'].map((name) => join(folder, name))
  authorize(own, ':0', 'ab'.repeat(16)) // a server takes all secrets of its file
  const x = await startX(t, { authority: own })
  authorize(wrong, x.display, 'cd'.repeat(16))
  authorize(right, x.display, 'ab'.repeat(16))
  for (const XAUTHORITY of [wrong, '/nonexistent']) {
    const { server } = await startWorkerProgram(t, { ...x.env, XAUTHORITY })
    const { ok, msg } = await server.capture()
    t.equal(ok, false)
    t.match(msg, new RegExp(`^the X server ${x.display} refuses this user, see XAUTHORITY: .*`))
    t.notMatch(msg, /abab|cdcd/)
  }
  const { server } = await startWorkerProgram(t, { ...x.env, XAUTHORITY: right })
  t.match(await server.capture(), { ok: true, width: 640 })
})

t.test('an X server without what is needed', { skip: skipWithoutX11 }, async (t) => {
  const x = await startX(t, { args: ['-extension', 'XTEST'] })
  const { server } = await startWorkerProgram(t, x.env)
  t.match(await server.capture(), { ok: false, msg: /XTEST/ })
})

t.test('an X server that ends', { skip: skipWithoutX11 }, async (t) => {
  const x = await startX(t)
  const { server } = await startWorkerProgram(t, x.env)
  t.ok((await server.capture()).ok)
  x.process.kill('SIGKILL')
  await once(x.process, 'close')
  const answers = []
  do answers.push(await server.capture()); while (answers.at(-1)?.ok === true)
  t.equal(answers.at(-1)?.msg, 'the X server has ended the connection')
})

t.test('what does not speak X', { skip: skipWithoutX11 }, async (t) => {
  const silent = createServer((socket) => { socket.end('HTTP/1.1 400 Bad Request\r\n\r\n') }).listen(0, '127.0.0.1')
  t.teardown(() => { silent.close() })
  await once(silent, 'listening')
  const { port } = silent.address() as { port: number }
  const { server } = await startWorkerProgram(t, { DISPLAY: `127.0.0.1:${port - 6000}` })
  t.match(await server.capture(), { ok: false, msg: /^the X server 127\.0\.0\.1:\d+ / })
})

t.test('an X server that does not answer: the end of the connection is that of the worker', { skip: skipWithoutX11 }, async (t) => {
  const x = await startX(t)
  x.process.kill('SIGSTOP')
  t.teardown(() => { x.process.kill('SIGCONT') })
  const { server, program } = await startWorkerProgram(t, x.env)
  ;(await server.connected()).terminate()
  t.equal((await program.ended).code, 0)
})

t.test('it ends with its connection, and by a signal, and releases what is held', { skip: skipWithoutX11 }, async (t) => {
  const x = await startX(t)
  const ends = {
    closed: async (server: WorkerServer) => { (await server.connected()).close() },
    lost: async (server: WorkerServer) => { (await server.connected()).terminate() },
    stopped: async (_: WorkerServer, program: Program) => { program.signal('SIGTERM') }
  }
  for (const [name, end] of Object.entries(ends)) {
    const xev = startCommand(t, 'xev', ['-geometry', '640x480+0+0'], { env: x.env })
    await xev.find(/Expose event/)
    const { server, program } = await startWorkerProgram(t, x.env)
    await server.capture()
    server.move(5, 5)
    server.press('f5')
    await xev.find(/KeyPress event[^\n]*\n[^\n]*\n[^\n]*F5/)
    t.notMatch(readFileSync(`/proc/${program.child.pid}/cmdline`, 'latin1'), TOKEN)
    await end(server, program)
    t.equal((await program.ended).code, 0, name)
    await xev.find(/KeyRelease event[^\n]*\n[^\n]*\n[^\n]*F5/)
    xev.signal('SIGTERM')
    await xev.ended
  }
})

t.test('wrong usage; nobody at the port', async (t) => {
  const { TUNPIPE_WORKER_TOKEN: _, ...without } = NO_DESKTOP
  t.match(await runProgram(t, 'peer', [...COMMAND, '1'], { env: without }), { code: 2, stderr: /TUNPIPE_WORKER_TOKEN is not set/ })
  t.match(await runProgram(t, 'peer', [...COMMAND, '0'], { env: NO_DESKTOP }), { code: 2, stderr: /--port/ })
  t.match(await runProgram(t, 'peer', [...COMMAND, '1'], { env: NO_DESKTOP }), { code: 1, stderr: /ECONNREFUSED/ })
  t.notMatch((await runProgram(t, 'peer', ['natpass', '--help'])).stdout, /vnc\.worker/)
})
