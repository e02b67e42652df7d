/** Keys and pointer, as programs of a real X server see them. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Status } from '../../../../../../src/nodes/natpass/protocol/desktop.ts'
import { WorkerMessageType } from '../../../../../../src/nodes/natpass/peer/desktop/worker/worker-messages.ts'
import { ManualClock } from '../../../../../helpers/clock.ts'
import { turn } from '../../../../../helpers/ends.ts'
import { startWorker, type WorkerServer } from '../../../../../helpers/natpass/worker-client.ts'
import { startCommand, type Program } from '../../../../../helpers/programs/program.ts'
import { skipWithoutX11, startX } from '../../../../../helpers/x11.ts'
import type { Clock } from '../../../../../../src/types.ts'

interface Setup {
  server: WorkerServer
  stop: () => Promise<void>
  over: Promise<void>
  /** It prints the events of a window that is as large as the screen. */
  xev: Program
}

async function setup (t: Test): Promise<Setup> {
  const x = await startX(t)
  const worker = await startWorker(t, x.env)
  await worker.server.capture()
  const xev = startCommand(t, 'xev', ['-geometry', '640x480+0+0'], { env: { ...x.env, LC_ALL: 'C.UTF-8' } })
  await xev.find(/Expose event/)
  worker.server.move(1, 1)
  await xev.find(/(Motion|Enter)Notify event/)
  return { ...worker, xev }
}

/** Kinds and details of events so far: `KeyPress a`, `ButtonRelease 1 100,200`. */
function eventsOf ({ stdout }: Program): string[] {
  return stdout.split('\n\n').flatMap((text) => {
    const [, kind] = /^(KeyPress|KeyRelease|ButtonPress|ButtonRelease) event/m.exec(text) ?? []
    if (kind === undefined) return []
    const [, place] = /root:\((\d+,\d+)\)/.exec(text) ?? []
    const [, symbol] = /keysym 0x[\da-f]+, (\S+)\)/.exec(text) ?? []
    const [, button] = /button (\d+)/.exec(text) ?? []
    return [symbol === undefined ? `${kind} ${button} ${place}` : `${kind} ${symbol}`]
  })
}

const BUTTONS = { left: 1, middle: 2, right: 3 }

t.test('pointer and buttons', { skip: skipWithoutX11 }, async (t) => {
  const { server, xev } = await setup(t)
  const mouse = (type: number, btn: number, x: number, y: number): void => { server.send({ _type: WorkerMessageType.mouse, mouse: { type, btn, x, y } }) }
  const expected: string[] = []
  for (const button of Object.values(BUTTONS)) {
    mouse(Status.down, button, 100 + button, 200)
    mouse(Status.up, button, 639, 479)
    expected.push(`ButtonPress ${button} ${100 + button},200`, `ButtonRelease ${button} 639,479`)
  }
  for (const [x, y] of [[640, 10], [10, 480], [0xffffffff, 0], [70000, 70000]]) mouse(Status.down, 1, x, y) // outside
  mouse(Status.up, 2, 5, 5) // not pressed
  mouse(Status.down, 0, 7, 8) // no button stands for the left one
  mouse(Status.up, 0, 7, 8)
  expected.push('ButtonPress 1 7,8', 'ButtonRelease 1 7,8')
  await xev.find(/ButtonRelease[^\n]*\n[^\n]*\(7,8\)/)
  t.same(eventsOf(xev), expected)
})

t.test('the wheel', { skip: skipWithoutX11 }, async (t) => {
  const { server, xev } = await setup(t)
  const scroll = (x: number, y: number): void => { server.send({ _type: WorkerMessageType.scroll, scroll: { x, y } }) }
  scroll(0, 2)
  scroll(0, -1)
  scroll(1, 0)
  scroll(-1, 0)
  scroll(0, 0)
  scroll(0, 0x7fffffff)
  server.type('z')
  await xev.find(/KeyRelease/)
  const pressed = eventsOf(xev).filter((event) => event.startsWith('ButtonPress')).map((event) => event.split(' ')[1])
  t.same(pressed, ['4', '4', '5', '6', '7', ...Array(32).fill('4')], 'and not all the steps that one event asks for')
})

/** Names of the protocol, and what X calls them. */
const NAMES: Record<string, string> = {
  backspace: 'BackSpace',
  delete: 'Delete',
  enter: 'Return',
  tab: 'Tab',
  esc: 'Escape',
  up: 'Up',
  down: 'Down',
  left: 'Left',
  right: 'Right',
  home: 'Home',
  end: 'End',
  pageup: 'Prior',
  pagedown: 'Next',
  shift: 'Shift_L',
  control: 'Control_L',
  alt: 'Alt_L',
  space: 'space',
  cmd: 'Super_L',
  '-': 'minus',
  '=': 'equal',
  '[': 'bracketleft',
  ']': 'bracketright',
  '\\': 'backslash',
  ';': 'semicolon',
  "'": 'apostrophe',
  ',': 'comma',
  '.': 'period',
  '/': 'slash',
  f1: 'F1',
  f12: 'F12',
  insert: 'Insert',
  a: 'a',
  z: 'z',
  0: '0',
  9: '9'
}

t.test('all names of keys', { skip: skipWithoutX11 }, async (t) => {
  const { server, xev } = await setup(t)
  for (const name of ['', 'no such key', 'f0', 'f25', '\n', 'aa']) server.type(name)
  for (const name of Object.keys(NAMES)) server.type(name)
  server.type('q')
  await xev.find(/KeyRelease[^]*KeyRelease[^\n]*\n[^\n]*\n[^\n]*keysym 0x71, q\)/)
  t.same(eventsOf(xev), [...Object.values(NAMES), 'q'].flatMap((symbol) => [`KeyPress ${symbol}`, `KeyRelease ${symbol}`]))
})

t.test('characters come as they are, with what is held or not', { skip: skipWithoutX11 }, async (t) => {
  const { server, xev } = await setup(t)
  const typed = async (key: string): Promise<string> => {
    const from = xev.stdout.length
    server.type(key)
    for (;;) {
      const texts = [...xev.stdout.slice(from).matchAll(/KeyPress event[^]*?keysym 0x[\da-f]+, (\S+)\)[^]*?XmbLookupString gives \d+ bytes:(?: \([\da-f ]+\) "([^\n]*)")?/g)].filter(([, symbol]) => !symbol.startsWith('Shift'))
      if (texts.length > 0) return texts[0][2]
      await xev.find(new RegExp(`^[^]{${xev.stdout.length + 1}}`))
    }
  }
  for (const key of ['A', 'Z', '!', '?', '"', '~', 'é', 'ß', 'Я', 'λ', '€', '日', '😀']) t.equal(await typed(key), key)
  server.press('shift')
  t.equal(await typed('A'), 'A')
  t.equal(await typed('a'), 'A', 'the name of a key, and shift makes it a capital')
  t.equal(await typed('é'), 'é')
  server.release('shift')
  t.equal(await typed('a'), 'a')
})

t.test('what is held is released when the connection ends', { skip: skipWithoutX11 }, async (t) => {
  const { server, stop, xev } = await setup(t)
  for (const key of ['shift', 'control', 'x', 'Ж']) server.press(key)
  server.send({ _type: WorkerMessageType.mouse, mouse: { type: Status.down, btn: BUTTONS.right, x: 3, y: 4 } })
  await xev.find(/ButtonPress/)
  await stop()
  await xev.find(/ButtonRelease/)
  const released = eventsOf(xev).filter((event) => event.includes('Release'))
  t.same(released.slice(0, 2), ['KeyRelease Shift_L', 'KeyRelease Control_L'])
  t.equal(released.length, 5)
})

t.test('what is no message ends the worker, and nothing behind it is taken', { skip: skipWithoutX11 }, async (t) => {
  const { server, over, xev } = await setup(t)
  server.press('x')
  ;(await server.connected()).send(Buffer.from('08032204', 'hex'))
  server.press('y')
  await over
  await xev.find(/KeyRelease[^\n]*\n[^\n]*\n[^\n]*keysym 0x78/)
  t.same(eventsOf(xev), ['KeyPress x', 'KeyRelease x'])
})

t.test('a terminal gets what is typed', { skip: skipWithoutX11 }, async (t) => {
  const x = await startX(t)
  const { server } = await startWorker(t, x.env)
  await server.capture()
  const file = join(t.testdir(), 'line')
  const xterm = startCommand(t, 'xterm', ['-u8', '-geometry', '80x20+0+0', '-e', 'sh', '-c', `echo ready > '${file}.ready'; read line; echo "$line" > '${file}'`], { env: { ...x.env, LC_ALL: 'C.UTF-8' } })
  server.move(100, 100)
  await server.captureUntil(({ data }) => data.some((byte, index) => index % 4 !== 3 && byte !== 0))
  const text = 'Hello, Wörld? Привет [1/2] €'
  server.type(...[...text].map((character) => character === ' ' ? 'space' : character), 'enter')
  await xterm.ended
  t.equal(readFileSync(file, 'utf8'), `${text}\n`)
})

/** An X server that takes nothing, and a worker that gets more than it may hold. */
async function flooded (t: Test, clock?: Clock) {
  const x = await startX(t)
  const worker = await startWorker(t, x.env, clock)
  await worker.server.capture()
  x.process.kill('SIGSTOP')
  t.teardown(() => { x.process.kill('SIGCONT') })
  for (let i = 0; i < 16_000; i++) worker.server.send({ _type: WorkerMessageType.scroll, scroll: { x: 32, y: 32 } }) // each is 128 requests
  return { ...worker, x }
}

t.test('more input than the X server takes waits where it comes from, and goes on', { skip: skipWithoutX11 }, async (t) => {
  const before = process.memoryUsage().arrayBuffers
  const { server, x } = await flooded(t)
  const socket = await server.connected()
  const answered = once(socket, 'pong')
  socket.ping()
  while (socket.bufferedAmount > 0) await turn()
  for (let i = 0; i < 200; i++) await turn()
  const held = process.memoryUsage().arrayBuffers - before
  t.ok(held < 45 << 20, `${held} bytes are held`)
  x.process.kill('SIGCONT')
  await answered
  t.ok((await server.capture()).ok)
})

t.test('an X server that takes nothing any more: the worker ends', { skip: skipWithoutX11 }, async (t) => {
  const clock = new ManualClock()
  const { over } = await flooded(t, clock)
  await clock.whenSet(10_000)
  clock.advance(10_000)
  await clock.whenSet(500) // for what is left to do
  clock.advance(500)
  await over
})
