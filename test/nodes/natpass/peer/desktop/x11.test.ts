/** Desktops of a peer with its own program and a real X server. */
import t, { type Test } from 'tap'
import { join, type NatpassClient } from '../../../../helpers/natpass/client.ts'
import { isType, LINK } from '../../../../helpers/natpass/messages.ts'
import { startPeer } from '../../../../helpers/natpass/peers.ts'
import { serve } from '../../../../helpers/natpass/serve.ts'
import { executable } from '../../../../helpers/programs/executables.ts'
import { startCommand } from '../../../../helpers/programs/program.ts'
import { skipWithoutX11, startX } from '../../../../helpers/x11.ts'
import { LINK_TYPES, MessageType } from '../../../../../src/nodes/natpass/protocol/message-types.ts'
import type { Message } from '../../../../../src/nodes/natpass/protocol/messages.ts'

/** A window without anything in it but its colour, from 64, 64 on. */
const WINDOW = ['-geometry', '20x5+64+64', '-bg', '#123456', '-fg', '#123456', '-cr', '#123456', '-bw', '0', '+sb', '-e', 'sleep', '1000']

/** Processes of a peer of this process find the screen by it. */
function setDisplay (t: Test, display: string | undefined): void {
  const { DISPLAY: before } = process.env
  const set = (value: string | undefined): void => {
    if (value === undefined) delete process.env.DISPLAY
    else process.env.DISPLAY = value
  }
  set(display)
  t.teardown(() => { set(before) })
}

async function ask (t: Test): Promise<{ laptop: NatpassClient, answer: Message['crep'] }> {
  const { port } = await serve(t)
  await startPeer(t, port, { allow: ['vnc'], peerProgram: executable('peer') })
  const laptop = await join(t, port, 'laptop')
  laptop.send({ _type: MessageType.connectReq, to: 'nas', link_id: LINK, creq: { name: 'desk', _type: LINK_TYPES.indexOf('vnc'), cvnc: { fps: 50, quality: 100 } } })
  return { laptop, answer: (await laptop.next(isType('connectRep'))).crep }
}

t.test('the whole screen, and what a program paints there', { skip: skipWithoutX11 }, async (t) => {
  const x = await startX(t, { size: '200x150' })
  setDisplay(t, x.display)
  const { laptop, answer } = await ask(t)
  if (answer?.ok !== true) throw new Error(answer?.msg ?? 'refused')
  const screen = Buffer.alloc(200 * 150 * 4)
  const show = async (): Promise<void> => {
    const { vimg } = await laptop.next(isType('vncImage'))
    const { rect_x: x = 0, rect_y: y = 0, rect_width: width = 0, rect_height: height = 0 } = vimg?._info as Record<string, number>
    for (let row = 0; row < height; row++) screen.set((vimg?.data as Buffer).subarray(row * width * 4, (row + 1) * width * 4), ((y + row) * 200 + x) * 4)
  }
  const at = (x: number, y: number): string => screen.toString('hex', (y * 200 + x) * 4, (y * 200 + x) * 4 + 4)
  for (let blocks = 0; blocks < 12; blocks++) await show()
  t.equal(at(0, 0), '000000ff')
  t.equal(at(199, 149), '000000ff')
  startCommand(t, 'xterm', WINDOW, { env: x.env })
  while (at(100, 100) !== '123456ff') await show()
  t.equal(at(63, 100), '000000ff', 'beside the window')
  laptop.send({ _type: MessageType.vncMouse, to: 'nas', link_id: LINK, vmouse: { x: 5, y: 6 } })
  laptop.send({ _type: MessageType.vncClipboard, to: 'nas', link_id: LINK, vclipboard: { set: true, _type: 1, data: 'there and back' } })
  laptop.send({ _type: MessageType.vncClipboard, to: 'nas', link_id: LINK, vclipboard: { set: false, _type: 1, data: '' } })
  t.match((await laptop.next(isType('vncClipboard'))).vclipboard, { set: true, data: 'there and back' })
})

t.test('the X server ends: so does the link', { skip: skipWithoutX11 }, async (t) => {
  const x = await startX(t)
  setDisplay(t, x.display)
  const { laptop, answer } = await ask(t)
  if (answer?.ok !== true) throw new Error(answer?.msg ?? 'refused')
  x.process.kill()
  t.ok(await laptop.next(isType('disconnect')))
})

t.test('without a display, and with one that is not there', async (t) => {
  setDisplay(t, undefined)
  const { answer } = await ask(t)
  t.match(answer, { ok: false, msg: /DISPLAY is not set/ })
  setDisplay(t, ':4711')
  t.match((await ask(t)).answer, { ok: false, msg: /:4711/ })
})
