/** Desktops of a peer, as a client of its server sees them (natpass protocol, section 4.3). */
import t, { type Test } from 'tap'
import { standstill, until } from '../../../../helpers/ends.ts'
import { join, type NatpassClient } from '../../../../helpers/natpass/client.ts'
import { FAKE_PROGRAM, FakeWorkers, isKind, isPicture, plain, type FakeWorker, type Image } from '../../../../helpers/natpass/fake-workers.ts'
import { ended, isType, LINK } from '../../../../helpers/natpass/messages.ts'
import { startPeer } from '../../../../helpers/natpass/peers.ts'
import { isRunning } from '../../../../helpers/natpass/pty.ts'
import { serve } from '../../../../helpers/natpass/serve.ts'
import type { NatpassPeer } from '../../../../../src/nodes/natpass/peer/peer.ts'
import { LINK_TYPES, MessageType } from '../../../../../src/nodes/natpass/protocol/message-types.ts'
import type { Message, MessageInit } from '../../../../../src/nodes/natpass/protocol/messages.ts'

const RAW = 100

interface World {
  port: number
  nas: NatpassPeer
  laptop: NatpassClient
  workers: FakeWorkers
}

async function world (t: Test): Promise<World> {
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['vnc'], peerProgram: FAKE_PROGRAM })
  return { port, nas, laptop: await join(t, port, 'laptop'), workers: await FakeWorkers.listen(t) }
}

/** @param rule - a number: another one is another rule of the client, of which each has one desktop */
const request = (workers: FakeWorkers, { link = LINK, rule = 0, window, ...cvnc }: NonNullable<NonNullable<MessageInit['creq']>['cvnc']> & { link?: string, rule?: number, window?: number } = {}): MessageInit => ({
  _type: MessageType.connectReq,
  to: 'nas',
  link_id: link,
  creq: { name: `${'0'.repeat(rule)}${workers.rule}`, _type: LINK_TYPES.indexOf('vnc'), cvnc: { fps: 50, quality: RAW, ...cvnc }, ...(window === undefined ? {} : { link: { version: 1, window } }) }
})

const on = (type: keyof typeof MessageType, fields: MessageInit = {}, link = LINK): MessageInit => ({ _type: MessageType[type], to: 'nas', link_id: link, ...fields })

const isOf = (link: string, type: keyof typeof MessageType) => (message: Message): boolean => message.link_id === link && isType(type)(message)

async function accepted (client: NatpassClient, link = LINK): Promise<void> {
  const { crep } = await client.next(isOf(link, 'connectRep'))
  if (crep?.ok !== true) throw new Error(crep?.msg ?? 'refused')
}

async function refusal (client: NatpassClient, link = LINK): Promise<string> {
  const { crep } = await client.next(isOf(link, 'connectRep'))
  return crep?.ok === true ? 'accepted' : crep?.msg as string
}

/** Opens a desktop whose screen is that image. */
async function opened ({ laptop, workers }: World, image: () => Image, init: Parameters<typeof request>[1] = {}): Promise<FakeWorker> {
  laptop.send(request(workers, init))
  const worker = await workers.showing(image)
  await accepted(laptop, init?.link)
  return worker
}

interface Seen { screen: number[], rectangle: number[], encode: number, data: Buffer }

const isImage = isType('vncImage')

function seen ({ vimg }: Message): Seen {
  const { screen_width: w, screen_height: h, rect_x: x, rect_y: y, rect_width: width, rect_height: height } = vimg?._info ?? {}
  return { screen: [w, h] as number[], rectangle: [x, y, width, height] as number[], encode: vimg?.encode ?? -1, data: Buffer.from(vimg?.data ?? []) }
}

async function images (client: NatpassClient, count: number): Promise<Seen[]> {
  const all: Seen[] = []
  while (all.length < count) all.push(seen(await client.next(isImage)))
  return all
}

/** Waits until more pictures were asked for, and their blocks, if any, have arrived. */
async function rounds (worker: FakeWorker, client: NatpassClient, count = 3): Promise<void> {
  const before = worker.captures
  await until(() => worker.captures >= before + count)
  await client.settled()
}

const isGone = async ({ started: { pid } }: FakeWorker): Promise<void> => { await until(() => !isRunning(pid)) }

t.test('case 29: 66 x 65 pixels, raw, then one other pixel', async (t) => {
  const all = await world(t)
  let image = plain(66, 65, 9)
  const worker = await opened(all, () => image)
  const first = await images(all.laptop, 4)
  t.same(first.map(({ rectangle }) => rectangle), [[0, 0, 64, 64], [64, 0, 2, 64], [0, 64, 64, 1], [64, 64, 2, 1]])
  t.same(first.map(({ data }) => data.length), [16384, 512, 256, 8])
  t.same(first.map(({ screen, encode }) => [...screen, encode]), Array(4).fill([66, 65, 0]))
  t.same([...first[3].data], [9, 9, 9, 255, 9, 9, 9, 255])
  await rounds(worker, all.laptop)
  t.notOk(all.laptop.inbox.some(isImage), 'nothing is sent while nothing changes')
  const data = Buffer.from(image.data)
  data[(64 * 66 + 65) * 4] = 1
  image = { ...image, data }
  t.match(await images(all.laptop, 1), [{ rectangle: [64, 64, 2, 1], encode: 0, data: Buffer.of(9, 9, 9, 255, 1, 9, 9, 255) }])
  image = { ...image, data: new Uint8Array(0) }
  await rounds(worker, all.laptop)
  t.notOk(all.laptop.inbox.some(isImage), 'unchanged, as a process of tunpipe says it')
  image = plain(65, 64)
  t.same((await images(all.laptop, 2)).map(({ screen, rectangle }) => [...screen, ...rectangle]), [[65, 64, 0, 0, 64, 64], [65, 64, 64, 0, 1, 64]])
})

t.test('the answer comes with the first picture, and not before', async (t) => {
  const { laptop, workers } = await world(t)
  laptop.send(request(workers, { cursor: true }))
  const worker = await workers.next()
  await worker.connect()
  await worker.next()
  t.equal((await worker.next(isKind('setCursor'))).show_cursor, true)
  await laptop.settled()
  t.notOk(laptop.inbox.some(isType('connectRep')))
  worker.answer(plain(1, 1))
  await accepted(laptop)
  t.match(await images(laptop, 1), [{ rectangle: [0, 0, 1, 1] }])
})

t.test('without a display: a refusal that says so, and no process is left', async (t) => {
  const { nas, laptop, workers } = await world(t)
  laptop.send(request(workers))
  const worker = await workers.next()
  await worker.connect()
  await worker.next()
  worker.answer({ ok: false, msg: 'there is no display' })
  t.equal(await refusal(laptop), 'there is no display')
  await isGone(worker)
  t.match(nas.stats, { links: 0, accepted: 0, refused: 1 })
})

t.test('a process that ends at once, and one in the middle', async (t) => {
  const all = await world(t)
  all.laptop.send(request(all.workers))
  const first = await all.workers.next()
  first.exit(1, 'broken')
  t.match(await refusal(all.laptop), /has ended: code 1, broken$/)
  const worker = await opened(all, () => plain(1, 1))
  worker.exit(0)
  await all.laptop.next(isType('disconnect'))
  await until(() => all.nas.stats.links === 0)
  t.match(all.nas.stats, { accepted: 1, refused: 1 })
})

t.test('a process that sends garbage ends the link, and no other one', async (t) => {
  const all = await world(t)
  const [bad, good] = [await opened(all, () => plain(1, 1), { link: 'bad' }), await opened(all, () => plain(1, 1), { link: 'good', rule: 1 })]
  bad.text('garbage')
  await all.laptop.next(isOf('bad', 'disconnect'))
  await isGone(bad)
  await rounds(good, all.laptop)
  t.ok(isRunning(good.started.pid))
})

t.test('case 26: the end of the link ends the process', async (t) => {
  const all = await world(t)
  const worker = await opened(all, () => plain(1, 1))
  all.laptop.send(ended('nas'), ended('nas'))
  await isGone(worker)
  const other = await opened(all, () => plain(1, 1), { window: 1 << 20 })
  all.laptop.send(on('end'))
  await isGone(other)
  const lost = await opened(all, () => plain(1, 1), { link: 'lost' })
  all.laptop.socket.destroy()
  await isGone(lost)
  await until(() => all.nas.stats.links === 0)
  t.equal(all.nas.stats.accepted, 3)
})

t.test('a client that gives up before there is a picture', async (t) => {
  const { nas, laptop, workers } = await world(t)
  laptop.send(request(workers))
  const worker = await workers.next()
  await worker.connect()
  await worker.next()
  laptop.send(ended('nas'))
  await isGone(worker)
  t.equal(nas.stats.accepted, 0)
})

t.test('the end of the peer ends all processes', async (t) => {
  const all = await world(t)
  const worker = await opened(all, () => plain(1, 1))
  await worker.stay()
  all.laptop.send(request(all.workers, { link: 'starting', rule: 1 }))
  const starting = await all.workers.next()
  await all.nas.close()
  t.notOk(isRunning(worker.started.pid))
  t.notOk(isRunning(starting.started.pid))
})

t.test('eight at one time; there is room again when one has ended', async (t) => {
  const all = await world(t)
  const phone = { ...all, laptop: await join(t, all.port, 'phone') }
  const workers: FakeWorker[] = []
  for (let i = 0; i < 8; i++) workers.push(await opened(i < 4 ? all : phone, () => plain(1, 1), { link: `link${i}`, rule: i }))
  t.equal(new Set(workers.map(({ started: { token } }) => token)).size, 8)
  const tablet = await join(t, all.port, 'tablet')
  tablet.send(request(all.workers, { link: 'ninth' }))
  t.equal(await refusal(tablet, 'ninth'), 'too many desktops are open here')
  all.laptop.send(request(all.workers, { link: 'fifth', rule: 9 }))
  t.equal(await refusal(all.laptop, 'fifth'), '4 desktops of this client are open here')
  all.laptop.send(ended('nas', 'link3'))
  await isGone(workers[3])
  await until(() => all.nas.stats.links === 7)
  await opened({ ...all, laptop: tablet }, () => plain(1, 1), { link: 'tenth' })
})

t.test('a client that opens a rule again: its former link ends', async (t) => {
  const all = await world(t)
  const former = await opened(all, () => plain(1, 1), { link: 'former' })
  await opened(all, () => plain(1, 1), { link: 'again' })
  await all.laptop.next(isOf('former', 'disconnect'))
  await isGone(former)
  t.match(all.nas.status().served, [{ id: 'again', client: 'laptop', type: 'vnc' }])
})

t.test('vnc_ctrl: another quality and cursor, and the picture is whole', async (t) => {
  const all = await world(t)
  const worker = await opened(all, () => plain(100, 64, 0x80))
  await images(all.laptop, 2)
  all.laptop.send(on('vncControl', { vctrl: { quality: 60, cursor: true } }))
  t.equal((await worker.next(isKind('setCursor'))).show_cursor, true)
  const lossy = await images(all.laptop, 2)
  t.match(lossy, [{ rectangle: [0, 0, 64, 64], encode: 1 }, { rectangle: [64, 0, 36, 64], encode: 1 }])
  for (const [i, { data }] of lossy.entries()) {
    t.equal(data.readUInt16BE(0), 0xffd8)
    const frame = data.indexOf(Buffer.of(0xff, 0xc0)) // height, width, components; the first one has twice the resolution of the others
    t.same([data.readUInt16BE(frame + 5), data.readUInt16BE(frame + 7), data[frame + 9], data[frame + 11]], [64, i === 0 ? 64 : 36, 3, 0x22])
  }
  all.laptop.send(on('vncControl', { vctrl: { quality: 1000 } }))
  t.equal((await worker.next(isKind('setCursor'))).show_cursor, false)
  t.match(await images(all.laptop, 2), [{ encode: 0 }, { encode: 0 }], 'lossless')
  all.laptop.send(on('vncControl'))
  t.match(await images(all.laptop, 2), [{ encode: 1 }, { encode: 1 }], 'no quality is that of the middle')
})

t.test('pointer, keys and wheel arrive; what is out of range does not', async (t) => {
  const all = await world(t)
  const worker = await opened(all, () => plain(640, 480))
  all.laptop.send(
    on('vncMouse', { vmouse: { type: 1, btn: 1, x: 640, y: 0 } }),
    on('vncKeyboard', { vkbd: { type: 1, key: '' } }),
    on('vncCad'),
    on('vncImage', { vimg: { data: Buffer.from('x') } }),
    on('vncMouse', { vmouse: { type: 1, btn: 3, x: 639, y: 479 } }),
    on('vncKeyboard', { vkbd: { type: 2, key: 'enter' } }),
    on('vncScroll', { vscroll: { y: -3 } })
  )
  await worker.next(isKind('scroll'))
  t.match(worker.inbox.filter((message) => !isPicture(message)), [{ mouse: { type: 1, btn: 3, x: 639, y: 479 } }, { keyboard: { type: 2, key: 'enter' } }])
})

t.test('the clipboard, both ways', async (t) => {
  const all = await world(t)
  const worker = await opened(all, () => plain(1, 1))
  all.laptop.send(on('vncClipboard', { vclipboard: { set: true, _type: 1, data: 'for the desktop' } }))
  t.match(await worker.next(isKind('clipboard')), { clipboard: { set: true, _type: 1, data: 'for the desktop' } })
  all.laptop.send(on('vncClipboard', { vclipboard: { set: false, _type: 1, data: '' } }))
  t.match(await worker.next(isKind('clipboard')), { clipboard: { set: false, _type: 1 } })
  const clipboard = (data: string): void => { worker.send({ _type: 6, clipboard: { set: true, _type: 1, data } }) }
  clipboard('of the desktop')
  t.match((await all.laptop.next(isType('vncClipboard'))).vclipboard, { set: true, _type: 1, data: 'of the desktop' })
  clipboard('é'.repeat(100_000))
  t.equal((await all.laptop.next(isType('vncClipboard'))).vclipboard?.data, 'é'.repeat(24 * 1024), 'cut to what fits into a frame')
})

t.test('a viewer that does not read: no more pictures are taken, and what it does still arrives', async (t) => {
  const all = await world(t)
  let round = 0
  const worker = await opened(all, () => plain(640, 480, ++round & 0xff), { window: 100_000 })
  await standstill(() => worker.captures)
  const [captures, received] = [worker.captures, all.laptop.inbox.filter(isImage).length]
  t.ok(captures <= 2, `${captures} pictures`)
  t.equal(received, 6, 'as many blocks of 16 KiB as there is credit for')
  all.laptop.send(on('vncMouse', { vmouse: { x: 5, y: 6 } }))
  t.match(await worker.next(isKind('mouse')), { mouse: { x: 5, y: 6 } })
  t.equal(worker.captures, captures)
  all.laptop.send(on('window', { window: 10_000_000 }))
  await until(() => worker.captures > captures + 2)
  t.pass('it goes on')
})
