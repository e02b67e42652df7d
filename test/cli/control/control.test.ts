import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { ask, askOnce } from '../../../src/cli/control/client.ts'
import { defaultControlPath } from '../../../src/cli/control/path.ts'
import { serveControl, type Command } from '../../../src/cli/control/server.ts'
import { dialUnix } from '../../../src/cli/unix-socket.ts'
import { UsageError } from '../../../src/cli/usage-error.ts'
import type { Logger } from '../../../src/log.ts'

function recorder (): { log: Logger, warnings: string[] } {
  const warnings: string[] = []
  return { warnings, log: { debug () {}, info () {}, error () {}, warn (_, message) { warnings.push(message) } } }
}

async function serve (t: Test, commands: Record<string, Command>): Promise<string> {
  const path = join(t.testdir(), 'run/relay.sock')
  const control = await serveControl(path, commands, recorder().log)
  t.teardown(() => control?.close())
  return path
}

t.test('ask and answer', async (t) => {
  const path = await serve(t, {
    echo: async (request) => ({ body: request }),
    wide: async () => ({ body: { text: 'ä\n"'.repeat(100_000) } }),
    refuse: async () => { throw new UsageError('there is no such network') },
    fail: async () => { throw Object.assign(new Error('in two\n  lines'), { code: 'EEXAMPLE' }) },
    stream: async (_, socket) => ({ body: { first: true }, follow: async () => { socket.write('\0binary\n') } })
  })
  t.equal((statSync(path).mode & 0o777).toString(8), '600')
  t.equal((statSync(join(path, '..')).mode & 0o777).toString(8), '700')
  t.same(await askOnce(path, { command: 'echo', text: 'ä\n', n: 5 }), { command: 'echo', text: 'ä\n', n: 5 })
  t.same(await askOnce(path, { command: 'wide' }), { text: 'ä\n"'.repeat(100_000) })
  await t.rejects(askOnce(path, { command: 'refuse' }), { code: 'ERR_USAGE', message: 'there is no such network' })
  await t.rejects(askOnce(path, { command: 'fail' }), { code: 'ERR_CONTROL', message: 'in two lines' })
  for (const command of ['nothing', '__proto__', 'constructor']) await t.rejects(askOnce(path, { command }), { code: 'ERR_USAGE', message: `there is no ${command} here, only echo, wide, refuse, fail, stream` })
  const { answer, rest, socket } = await ask(path, { command: 'stream' })
  t.same(answer, { first: true })
  t.equal(rest.toString() + await text(socket), '\0binary\n', 'what follows the answer')
})

t.test('requests that are none', async (t) => {
  const path = await serve(t, { status: async () => ({ body: {} }) })
  for (const line of ['nonsense\n', '5\n', 'null\n', '{}\n', '{"command":5}\n', 'x'.repeat(5000)]) {
    const socket = await dialUnix(path)
    socket.write(line)
    t.match(JSON.parse(await text(socket)), { error: 'the request is no line of JSON with a command' }, line.slice(0, 20))
  }
  const cut = await dialUnix(path)
  cut.end('{"command":"sta')
  await text(cut)
  t.same(await askOnce(path, { command: 'status' }), {}, 'it still answers')
})

t.test('who asks in pieces, and who asks too many at once', async (t) => {
  const path = await serve(t, { status: async () => ({ body: { ok: true } }) })
  const slow = await dialUnix(path)
  for (const piece of ['{"comm', 'and":"sta', 'tus"}', '\n']) {
    slow.write(piece)
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  t.equal(await text(slow), '{"ok":true}\n')
  const many = await Promise.all(Array.from({ length: 20 }, () => dialUnix(path)))
  const ended = many.map((socket) => new Promise((resolve) => { socket.on('error', () => {}).once('close', resolve) }))
  await Promise.all(ended.slice(16)) // nobody has asked anything yet
  t.equal(many.filter((socket) => !socket.destroyed).length, 16)
  for (const socket of many) socket.destroy()
  await Promise.all(ended)
})

t.test('nobody is there', async (t) => {
  const folder = t.testdir()
  await t.rejects(askOnce(join(folder, 'none.sock'), { command: 'status' }), { code: 'ERR_CONTROL', message: /^nobody listens at .*none\.sock: is it running\?/ })
  const path = join(folder, 'mute.sock')
  const control = await serveControl(path, { status: async (_, socket) => { socket.destroy(); return { body: {} } } }, recorder().log)
  await t.rejects(askOnce(path, { command: 'status' }), { code: 'ERR_CONTROL', message: /^no answer/ })
  await control?.close()
  t.notOk(existsSync(path))
})

t.test('a socket that cannot be had is a warning', async (t) => {
  const folder = t.testdir({ file: '' })
  const { log, warnings } = recorder()
  t.equal(await serveControl(join(folder, 'file/x.sock'), {}, log), undefined)
  const first = await serveControl(join(folder, 'x.sock'), {}, log)
  t.equal(await serveControl(join(folder, 'x.sock'), {}, log), undefined)
  t.match(warnings, [/^there is no control socket/, /^the control socket is that of another process/])
  await first?.close()
  writeFileSync(join(folder, 'y.sock'), 'no socket')
  t.equal(await serveControl(join(folder, 'y.sock'), {}, log) === undefined, false, 'a left-over is replaced')
})

t.test('closing waits for nobody', async (t) => {
  const path = join(t.testdir(), 'x.sock')
  const control = await serveControl(path, { hang: () => new Promise(() => {}) }, recorder().log)
  const socket = await dialUnix(path)
  socket.write('{"command":"hang"}\n')
  const closed = new Promise((resolve) => { socket.on('error', () => {}).once('close', resolve) })
  await control?.close()
  await closed
  t.ok(socket.destroyed)
})

t.test('where it is', async (t) => {
  t.equal(defaultControlPath('relay', { RUNTIME_DIRECTORY: '/run/a:/run/b' }, 1000), '/run/a/relay.sock')
  t.equal(defaultControlPath('relay', {}, 0), '/run/tunpipe/relay.sock')
  t.equal(defaultControlPath('peer-home', { XDG_RUNTIME_DIR: '/run/user/1000' }, 1000), '/run/user/1000/tunpipe/peer-home.sock')
  t.equal(defaultControlPath('peer', { XDG_RUNTIME_DIR: 'relative', XDG_STATE_HOME: '/home/u/s' }, 1000), '/home/u/s/tunpipe/peer.sock')
})
