/** What comes from the other end and from the process that captures the screen, checked. */
import t from 'tap'
import { readCaptured, type Captured } from '../../../../../src/nodes/natpass/peer/desktop/captured.ts'
import { inputOf } from '../../../../../src/nodes/natpass/peer/desktop/input.ts'
import { MessageType } from '../../../../../src/nodes/natpass/protocol/message-types.ts'
import { messageOfBody, bodyOf, type MessageInit } from '../../../../../src/nodes/natpass/protocol/messages.ts'

const captured = (fields: Partial<Captured>): Captured => ({ ok: true, bits: 32, width: 2, height: 3, data: new Uint8Array(24), ...fields }) as Captured

t.test('a picture, and none', async (t) => {
  t.match(readCaptured(captured({}), undefined), { width: 2, height: 3, pixels: { length: 24 } })
  t.equal(readCaptured(captured({ data: new Uint8Array(0) }), { width: 2, height: 3 }), undefined, 'unchanged')
  t.throws(() => readCaptured(captured({ ok: false, msg: 'no \x1b display' }), undefined), { code: 'ERR_DESKTOP_SCREEN', message: 'no \\x1b display' })
  t.throws(() => readCaptured(captured({ ok: false, msg: '' }), undefined), { code: 'ERR_DESKTOP_SCREEN', message: 'the screen cannot be captured' })
})

for (const [what, fields] of Object.entries<Partial<Captured>>({
  'of another size than it says': { width: 3 },
  'without pixels at first': { data: new Uint8Array(0) },
  'one byte short': { data: new Uint8Array(23) },
  'without width': { width: 0, data: new Uint8Array(0) },
  'of 2^32 - 1 squared': { width: 0xffffffff, height: 0xffffffff },
  'too wide': { width: 16385, height: 1, data: new Uint8Array(16385 * 4) },
  'of too many pixels': { width: 16384, height: 4097, data: new Uint8Array(0) },
  'of 24 bits': { bits: 24 },
  'without bits': { bits: 0 }
})) t.test(`a picture ${what}`, async (t) => { t.throws(() => readCaptured(captured(fields), undefined), { code: 'ERR_DESKTOP_WORKER' }) })

t.test('nothing has changed, of another size', async (t) => {
  t.throws(() => readCaptured(captured({ data: new Uint8Array(0) }), { width: 3, height: 2 }), { code: 'ERR_DESKTOP_WORKER' })
})

t.test('what a viewer does', async (t) => {
  const input = (message: MessageInit): unknown => inputOf(messageOfBody(bodyOf(message)), { width: 640, height: 480 })
  const mouse = (vmouse: MessageInit['vmouse']): unknown => input({ _type: MessageType.vncMouse, vmouse })
  t.match(mouse({ type: 1, btn: 3, x: 639, y: 479 }), { _type: 2, mouse: { type: 1, btn: 3, x: 639, y: 479 } })
  t.match(mouse({}), { mouse: { type: 0, btn: 0, x: 0, y: 0 } })
  for (const outside of [{ x: 640 }, { y: 480 }, { x: 0xfffffffd }, { type: 3 }, { btn: 4 }]) t.equal(mouse(outside), undefined, JSON.stringify(outside))

  const key = (type: number, key: string): unknown => input({ _type: MessageType.vncKeyboard, vkbd: { type, key } })
  t.match(key(1, 'enter'), { _type: 3, keyboard: { type: 1, key: 'enter' } })
  t.match(key(2, 'é'), { keyboard: { type: 2, key: 'é' } })
  for (const [type, name] of [[0, 'a'], [3, 'a'], [1, ''], [1, 'a'.repeat(33)]] as const) t.equal(key(type, name), undefined)

  const scroll = (vscroll: MessageInit['vscroll']): unknown => input({ _type: MessageType.vncScroll, vscroll })
  t.match(scroll({ x: -2, y: 1 }), { _type: 5, scroll: { x: -2, y: 1 } })
  t.match(scroll({ x: -2147483648, y: 2147483647 }), { scroll: { x: -32, y: 32 } })

  const clipboard = (vclipboard: MessageInit['vclipboard']): unknown => input({ _type: MessageType.vncClipboard, vclipboard })
  t.match(clipboard({ set: true, _type: 1, data: 'text' }), { _type: 6, clipboard: { set: true, _type: 1, data: 'text' } })
  t.match(clipboard({ set: false, _type: 1, data: '' }), { clipboard: { set: false, _type: 1, data: '' } })
  for (const _type of [0, 2, 3]) t.equal(clipboard({ set: true, _type, data: 'x' }), undefined)

  for (const _type of [MessageType.vncCad, MessageType.vncImage, MessageType.vncControl, MessageType.shellData]) t.equal(input({ _type }), undefined)
  for (const _type of [MessageType.vncMouse, MessageType.vncKeyboard, MessageType.vncScroll, MessageType.vncClipboard]) t.equal(input({ _type }), undefined, 'without a payload')
})
