import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { openRequest, sendRequest } from '../../../src/cli/control/client.ts'
import { defaultControlPath } from '../../../src/cli/control/path.ts'
import { serveControl, type Command } from '../../../src/cli/control/server.ts'
import { dialUnix, listenUnix } from '../../../src/cli/unix-socket.ts'
import { UsageError } from '../../../src/cli/usage-error.ts'
import type { Logger } from '../../../src/log.ts'

function recorder (): { log: Logger, warnings: string[] } {
  const warnings: string[] = []
  return { warnings, log: { debug () {}, info () {}, error () {}, warn (_, message) { warnings.push(message) } } }
}

async function serve (t: Test, commands: Record<string, Command>): Promise<string> {
  const path = join(t.testdir(), 'run/relay.sock')
  const control = await serveControl(path, { program: 'relay' }, commands, recorder().log)
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
  t.same(await sendRequest({ path, program: 'relay' }, { command: 'echo', text: 'ä\n', n: 5 }), { program: 'relay', command: 'echo', text: 'ä\n', n: 5 })
  t.same(await sendRequest({ path, program: 'relay' }, { command: 'wide' }), { program: 'relay', text: 'ä\n"'.repeat(100_000) })
  await t.rejects(sendRequest({ path, program: 'relay' }, { command: 'refuse' }), { code: 'ERR_USAGE', message: 'there is no such network' })
  await t.rejects(sendRequest({ path, program: 'relay' }, { command: 'fail' }), { code: 'ERR_CONTROL', message: 'in two lines' })
  for (const command of ['nothing', '__proto__', 'constructor']) await t.rejects(sendRequest({ path, program: 'relay' }, { command }), { code: 'ERR_USAGE', message: `there is no ${command} here, only echo, wide, refuse, fail, stream` })
  const { answer, rest, socket } = await openRequest({ path, program: 'relay' }, { command: 'stream' })
  t.same(answer, { program: 'relay', first: true })
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
  t.same(await sendRequest({ path, program: 'relay' }, { command: 'status' }), { program: 'relay' }, 'it still answers')
})

t.test('who asks in pieces, and who asks too many at once', async (t) => {
  const path = await serve(t, { status: async () => ({ body: { ok: true } }) })
  const slow = await dialUnix(path)
  for (const piece of ['{"comm', 'and":"sta', 'tus"}', '\n']) {
    slow.write(piece)
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  t.equal(await text(slow), '{"program":"relay","ok":true}\n')
  const many = await Promise.all(Array.from({ length: 16 }, () => dialUnix(path)))
  await t.rejects(sendRequest({ path, program: 'relay' }, { command: 'status' }), { code: 'ERR_CONTROL', message: '16 ask at once already' })
  const ended = many.map((socket) => new Promise((resolve) => { socket.on('error', () => {}).once('close', resolve).resume() }))
  many[0].write('{"command":"status"}\n') // and does not hang up
  await ended[0]
  t.match(await sendRequest({ path, program: 'relay' }, { command: 'status' }), { ok: true }, 'who was answered makes room')
  for (const socket of many) socket.destroy()
  await Promise.all(ended)
})

t.test('nobody is there, or somebody else', async (t) => {
  const folder = t.testdir()
  const refused = async (message: RegExp, program: 'relay' | 'peer' = 'relay'): Promise<void> => {
    await t.rejects(sendRequest({ path: join(folder, 'x.sock'), program, timeout: 500 }, { command: 'status' }), { code: 'ERR_CONTROL', message }, String(message))
  }
  await refused(/^nobody listens at .*x\.sock: is it running\?/)
  const control = await serveControl(join(folder, 'x.sock'), { program: 'relay' }, { status: async () => ({ body: {} }) }, recorder().log)
  await refused(/is a relay, expected a peer$/, 'peer')
  await control?.close()
  for (const [says, message] of [
    [(socket: Socket) => { socket.destroy() }, /^(no answer from|the process behind .* has ended the connection)/],
    [(socket: Socket) => { socket.end('SSH-2.0-OpenSSH\r\n') }, /is no tunpipe, expected a relay$/],
    [(socket: Socket) => { socket.end('null\n') }, /is no tunpipe, expected a relay$/],
    [(socket: Socket) => { socket.write('{"program":') }, /^no answer within 0\.5 seconds/],
    [() => {}, /^no answer within 0\.5 seconds/]
  ] as const) {
    const server = await listenUnix(join(folder, 'x.sock'), (socket) => { socket.once('data', () => { says(socket) }).once('end', () => { socket.destroy() }) })
    await refused(message)
    await server?.close()
  }
})

t.test('a socket that cannot be had is a warning', async (t) => {
  const folder = t.testdir({ file: '' })
  const { log, warnings } = recorder()
  t.equal(await serveControl(join(folder, 'file/x.sock'), { program: 'relay' }, {}, log), undefined)
  const first = await serveControl(join(folder, 'x.sock'), { program: 'relay' }, {}, log)
  t.equal(await serveControl(join(folder, 'x.sock'), { program: 'relay' }, {}, log), undefined)
  t.match(warnings, [/^there is no control socket/, /^the control socket is that of another process/])
  await first?.close()
  writeFileSync(join(folder, 'precious.txt'), 'no socket')
  mkdirSync(join(folder, 'folder'))
  for (const name of ['precious.txt', 'folder']) t.equal(await serveControl(join(folder, name), { program: 'relay' }, {}, log), undefined, name)
  t.equal(readFileSync(join(folder, 'precious.txt'), 'utf8'), 'no socket', 'what is no socket is left alone')
})

t.test('closing waits for nobody', async (t) => {
  const path = join(t.testdir(), 'x.sock')
  const control = await serveControl(path, { program: 'relay' }, { hang: () => new Promise(() => {}) }, recorder().log)
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

t.test('who means a process with another configuration is refused by its name, and nothing is done', async (t) => {
  const folder = t.testdir({ 'relay.yaml': '', 'other.yaml': '' })
  symlinkSync(join(folder, 'relay.yaml'), join(folder, 'link.yaml'))
  let asked = 0
  for (const config of [join(folder, 'relay.yaml'), undefined]) {
    const path = join(folder, 'x.sock')
    const control = await serveControl(path, { program: 'relay', config }, { reload: async () => ({ body: { asked: ++asked } }) }, recorder().log)
    const reload = (config?: string): Promise<object> => sendRequest({ path, program: 'relay', config }, { command: 'reload' })
    t.match(await reload(), { asked }, 'whoever does not say')
    const before = asked
    const own = config === undefined ? 'without a configuration file' : `with ${config}`
    for (const other of [join(folder, 'other.yaml'), join(folder, 'missing.yaml')]) {
      await t.rejects(reload(other), { code: 'ERR_CONTROL', isAbsent: true, message: `the process behind ${path} is another one: this relay runs ${own}, not with ${other}` })
    }
    t.equal(asked, before)
    if (config !== undefined) for (const same of [config, join(folder, 'link.yaml')]) t.match(await reload(same), { asked: Number })
    await control?.close()
  }
})
