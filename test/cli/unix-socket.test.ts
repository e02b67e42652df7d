import { existsSync, mkdirSync, statSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { dialUnix, listenUnix, type UnixServer } from '../../src/cli/unix-socket.ts'
import { startScript } from '../helpers/programs/program.ts'

const listen = (file: string): Promise<UnixServer | undefined> => listenUnix(file, (socket) => { socket.end('hello') })

t.test('a socket outlives nobody', async (t) => {
  const file = join(t.testdir(), 'x.sock')
  const script = fileURLToPath(new URL('../helpers/cli/socket-holder.ts', import.meta.url))
  const holder = startScript(t, script, [file])
  await holder.find(/^listening$/m)
  t.equal(await listen(file), undefined, 'while it lives')
  holder.child.kill('SIGKILL')
  await once(holder.child, 'exit')
  t.ok(existsSync(file), 'it is still there')
  const server = await listen(file)
  t.ok(server, 'and worth nothing')
  t.equal(await listen(file), undefined, 'until somebody else has it')
  await server?.close()
  t.notOk(existsSync(file))
  await t.rejects(dialUnix(file), { code: 'ENOENT' })
})

t.test('nobody but its owner may connect', async (t) => {
  const file = join(t.testdir(), 'x.sock')
  const before = process.umask()
  const server = await listen(file)
  t.equal((statSync(file).mode & 0o777).toString(8), '600')
  t.equal(process.umask(), before)
  await server?.close()
})

t.test('at the end of a long path', async (t) => {
  const folder = join(t.testdir(), 'x'.repeat(120))
  const file = join(folder, 'x.sock')
  mkdirSync(folder)
  const server = await listen(file)
  t.ok(existsSync(file))
  t.equal(await listen(file), undefined)
  const socket = await dialUnix(file)
  t.equal(String((await once(socket, 'data'))[0]), 'hello')
  socket.destroy()
  await server?.close()
  t.notOk(existsSync(file))
})

t.test('where none can be', async (t) => {
  await t.rejects(listen(join(t.testdir(), 'none/x.sock')), { code: /ENOENT|EACCES/ })
})
