/** The clipboard, with a program of a real X server at the other side of it. */
import type { Writable } from 'node:stream'
import t, { type Test } from 'tap'
import { TEXT } from '../../../../../../src/nodes/natpass/protocol/desktop.ts'
import { WorkerMessageType } from '../../../../../../src/nodes/natpass/peer/desktop/worker/worker-messages.ts'
import { startWorker, type WorkerServer } from '../../../../../helpers/natpass/worker-client.ts'
import { startCommand, type Program } from '../../../../../helpers/programs/program.ts'
import { skipWithoutX11, startX, type XServer } from '../../../../../helpers/x11.ts'

const MAX_TEXT = 48 * 1024

async function setup (t: Test): Promise<{ x: XServer, server: WorkerServer }> {
  const x = await startX(t)
  const { server } = await startWorker(t, x.env)
  await server.capture()
  return { x, server }
}

const ENV = { LC_ALL: 'C.UTF-8' }

/** `xclip` owns a text from when this is done. */
async function own (t: Test, x: XServer, text: string): Promise<Program> {
  const owner = startCommand(t, 'xclip', ['-selection', 'clipboard', '-quiet'], { env: { ...x.env, ...ENV }, stdin: 'pipe' })
  ;(owner.child.stdin as Writable).end(text)
  while (await pasted(t, x) !== text); // each asks once
  return owner
}

/** What a program gets. */
async function pasted (t: Test, x: XServer, target = 'UTF8_STRING'): Promise<string> {
  const { stdout, stderr } = await startCommand(t, 'xclip', ['-selection', 'clipboard', '-o', '-target', target], { env: { ...x.env, ...ENV } }).ended
  return stdout + stderr
}

async function set (server: WorkerServer, data: string): Promise<void> {
  server.send({ _type: WorkerMessageType.clipboard, clipboard: { set: true, _type: TEXT, data } })
  while (await server.readClipboard() !== data) await server.capture()
}

t.test('a text of a program', { skip: skipWithoutX11 }, async (t) => {
  const { x, server } = await setup(t)
  t.equal(await server.readClipboard(), '', 'nobody has one')
  for (const text of ['plain', 'Grüße, Привет, 😀\nsecond line\n', '\ufeffmark', 'x'.repeat(MAX_TEXT)]) {
    await own(t, x, text)
    t.equal(await server.readClipboard(), text)
    t.equal(await server.readClipboard(), text, 'again')
  }
})

t.test('a text of a program that is too long is cut at a character', { skip: skipWithoutX11 }, async (t) => {
  const { x, server } = await setup(t)
  await own(t, x, `a${'é'.repeat(MAX_TEXT)}`)
  t.equal(await server.readClipboard(), `a${'é'.repeat(MAX_TEXT / 2 - 1)}`)
  await own(t, x, 'b'.repeat(3 << 20)) // which `xclip` gives in parts
  t.equal(await server.readClipboard(), 'b'.repeat(MAX_TEXT))
})

t.test('a program that does not answer', { skip: skipWithoutX11 }, async (t) => {
  const { x, server } = await setup(t)
  const owner = await own(t, x, 'never seen')
  owner.signal('SIGSTOP')
  t.equal(await server.readClipboard(), '')
  t.ok((await server.capture()).ok, 'all else goes on')
  owner.signal('SIGCONT')
  t.equal(await server.readClipboard(), 'never seen')
})

t.test('a text for programs', { skip: skipWithoutX11 }, async (t) => {
  const { x, server } = await setup(t)
  for (const text of ['plain', 'Grüße, Привет, 😀\nsecond line\n', 'y'.repeat(MAX_TEXT)]) {
    await set(server, text)
    t.equal(await pasted(t, x), text)
  }
  await set(server, 'é Я')
  t.equal(await pasted(t, x, 'STRING'), '\ufffd ?', 'in Latin-1')
  t.equal(await pasted(t, x, 'text/plain;charset=utf-8'), 'é Я')
  t.match(await pasted(t, x, 'TARGETS'), /^TARGETS\nTIMESTAMP\nUTF8_STRING\n/)
  t.match(await pasted(t, x, 'image/png'), /not available/)
  await own(t, x, 'of another program')
  while (await server.readClipboard() !== 'of another program'); // it is not ours any more
  t.equal(await pasted(t, x), 'of another program')
})

t.test('a text for programs that is too long is cut; pictures are not taken', { skip: skipWithoutX11 }, async (t) => {
  const { x, server } = await setup(t)
  server.send({ _type: WorkerMessageType.clipboard, clipboard: { set: true, _type: TEXT, data: 'z'.repeat(MAX_TEXT + 1) } })
  while (await server.readClipboard() === '') await server.capture()
  t.equal(await pasted(t, x), 'z'.repeat(MAX_TEXT))
  server.send({ _type: WorkerMessageType.clipboard, clipboard: { set: true, _type: 2, data: 'a picture' } })
  t.equal((await server.readClipboard()).length, MAX_TEXT)
})

t.test('questions that come faster than answers leave', { skip: skipWithoutX11 }, async (t) => {
  const { server } = await setup(t)
  await set(server, 'x'.repeat(MAX_TEXT))
  for (let i = 0; i < 1000; i++) server.send({ _type: WorkerMessageType.clipboard, clipboard: { set: false, _type: TEXT, data: '' } })
  server.send({ _type: WorkerMessageType.captureReq })
  let answers = 0
  while ((await server.next())._type === WorkerMessageType.clipboard) answers++
  t.ok(answers < 100, `${answers} answers`)
  while (await server.readClipboard() !== 'x'.repeat(MAX_TEXT)); // and the worker goes on
  for (let i = 0; i < 100; i++) server.send({ _type: WorkerMessageType.clipboard, clipboard: { set: true, _type: TEXT, data: String(i) } })
  while (await server.readClipboard() !== '99') await server.capture()
})
