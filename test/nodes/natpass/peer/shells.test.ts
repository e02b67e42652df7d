/** Shells whose connections are lost (natpass protocol, section 6.4). */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { WebSocket } from 'ws'
import { random } from '../../../helpers/bytes.ts'
import { ManualClock } from '../../../helpers/clock.ts'
import { drain, until } from '../../../helpers/ends.ts'
import { forwarder } from '../../../helpers/forwarder.ts'
import { join, NatpassClient, SECRET } from '../../../helpers/natpass/client.ts'
import { contentOf, data, ended, isType, LINK } from '../../../helpers/natpass/messages.ts'
import { startPeer } from '../../../helpers/natpass/peers.ts'
import { isRunning, skipWithoutPty } from '../../../helpers/natpass/pty.ts'
import { serve } from '../../../helpers/natpass/serve.ts'
import { sample } from '../../../helpers/sample.ts'
import { linkPair } from '../../../helpers/transforms/link-mux.ts'
import { NatpassPeer } from '../../../../src/nodes/natpass/peer/peer.ts'
import type { NatpassPeerInit } from '../../../../src/nodes/natpass/peer/settings.ts'
import { RemoteShell } from '../../../../src/nodes/natpass/peer/shell/remote-shell.ts'
import type { LinkRequest } from '../../../../src/nodes/natpass/protocol/link-codec.ts'
import type { MessageInit } from '../../../../src/nodes/natpass/protocol/messages.ts'
import { serveNatpass } from '../../../../src/nodes/natpass/relay/server.ts'

const options = { skip: skipWithoutPty }

interface Browser {
  says (pattern: RegExp): Promise<RegExpExecArray>
  type (text: string): void
  resize (rows: number, cols: number): Promise<void>
  /** Takes all output from now on. */
  hears (take: (bytes: Buffer) => void): void
  /** Settles with the last message. */
  over: Promise<any>
}

/** A browser on the page of a rule. */
async function browse (peer: NatpassPeer): Promise<Browser> {
  const url = peer.status().rules[0].url ?? ''
  const id = await (await fetch(`${url}/new`, { method: 'POST' })).text()
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/${id}`)
  let heard = ''
  let last: any
  let take = (bytes: Buffer): void => { heard += bytes.toString('latin1') }
  socket.on('message', (message: Buffer, isBinary: boolean) => {
    if (isBinary) take(message)
    else last = JSON.parse(message.toString())
  })
  const over = once(socket, 'close').then(() => last)
  await once(socket, 'open')
  return {
    async says (pattern) {
      await until(() => pattern.test(heard))
      return pattern.exec(heard) as RegExpExecArray
    },
    type (text) { socket.send(text) },
    async resize (rows, cols) {
      const { status } = await fetch(`${url}/resize`, { method: 'POST', body: new URLSearchParams({ id, rows: String(rows), cols: String(cols) }) })
      if (status !== 200) throw new Error(`resize: ${status}`)
    },
    hears (taker) { take = taker },
    over
  }
}

const ENV = ['PS1=$ ']
const RULES: NatpassPeerInit['rules'] = [{ name: 'sh', target: 'nas', type: 'shell', exec: 'sh', env: ENV }]
const LINES = 60_000
const NUMBERS = sample('numbers of output', { short: 200_000, long: 12_700_000 })

t.test('either end loses its connection, and the server restarts: no output is missing or doubled', options, async (t) => {
  const first = await serveNatpass({ listen: '127.0.0.1:0', secret: SECRET })
  const port = Number(new URL(first.url).port)
  const [toNas, toLaptop] = [await forwarder(t, port), await forwarder(t, port)]
  const nas = await startPeer(t, toNas.port, { allow: ['shell@laptop'] })
  const laptop = await startPeer(t, toLaptop.port, { id: 'laptop', rules: RULES })
  const user = await browse(laptop)
  user.type(`echo pid=$$.; stty -echo; i=0; while [ $i -lt 40 ]; do seq $((i * ${LINES / 40} + 1)) $(((i + 1) * ${LINES / 40})); i=$((i + 1)); sleep 0.01; done; echo end=$?.\n`)
  const pid = Number((await user.says(/pid=(\d+)\./))[1])
  const again = async (...peers: NatpassPeer[]): Promise<unknown> => await Promise.all(peers.map((peer) => once(peer, 'online')))
  await user.says(/\r\n2000\r\n/)
  for (const [peer, { cut }, line] of [[laptop, toLaptop, 9000], [nas, toNas, 20_000], [laptop, toLaptop, 30_000]] as const) {
    const back = again(peer)
    cut()
    await back
    await user.says(new RegExp(`\r\n${line}\r\n`))
  }
  const back = again(nas, laptop)
  await first.close()
  const second = await serveNatpass({ listen: `127.0.0.1:${port}`, secret: SECRET })
  t.teardown(() => second.close())
  await back
  const { input } = await user.says(/end=0\.\r\n/)
  const numbers = input.match(/^\d+(?=\r$)/gm) ?? []
  t.equal(numbers.length, LINES)
  t.equal(numbers.findIndex((number, i) => Number(number) !== i + 1), -1)
  t.match(nas.status(), { links: 1, accepted: 1, refused: 0, served: [{ client: 'laptop', rule: 'sh', type: 'shell' }] })
  t.ok(nas.status().served[0].bytesOut >= numbers.join('\r\n').length, 'what the links before have carried counts')
  t.match(laptop.status(), { rules: [{ links: 1, opened: 1 }] })
  user.type('stty size; exit 3\n')
  t.match(await user.over, { type: 'exit', code: 3 })
  await until(() => !isRunning(pid))
  await until(() => nas.status().links + laptop.status().rules[0].links + second.status().links.shell === 0)
})

t.test('a shell that ends meanwhile tells its last output and its code; what is typed and resized meanwhile arrives', options, async (t) => {
  const { port } = await serve(t)
  const toLaptop = await forwarder(t, port)
  const nas = await startPeer(t, port, { allow: ['shell'] })
  const laptop = await startPeer(t, toLaptop.port, { id: 'laptop', rules: RULES })
  const user = await browse(laptop)
  user.type('echo pid=$$.\n')
  const pid = Number((await user.says(/pid=(\d+)\./))[1])
  const [offline, online] = [once(laptop, 'offline'), once(laptop, 'online')]
  toLaptop.cut()
  await offline
  user.type('echo typed=$((6*7)); kill -9 $$\n')
  await online
  await user.says(/typed=42/)
  t.match(await user.over, { type: 'exit', signal: 9 })
  await until(() => !isRunning(pid))
  await until(() => nas.status().links === 0)
})

t.test('much output through the relay under random sizes of the terminal', options, async (t) => {
  const { port } = await serve(t)
  await startPeer(t, port, { allow: ['shell'] })
  const laptop = await startPeer(t, port, { id: 'laptop', rules: RULES })
  const user = await browse(laptop)
  user.type('stty raw -echo; echo rea""dy\n')
  await user.says(/ready\n/)
  const [hash, expected] = [createHash('sha256'), createHash('sha256')]
  let size = 0
  let got = 0
  for (let from = 1; from <= NUMBERS; from += 1000) {
    const text = Array.from({ length: Math.min(1000, NUMBERS - from + 1) }, (_, i) => `${from + i}\n`).join('')
    size += text.length
    expected.update(text)
  }
  const whole = new Promise<void>((resolve) => {
    user.hears((bytes) => {
      hash.update(bytes)
      got += bytes.length
      if (got >= size) resolve()
    })
  })
  const below = random(18)
  user.type(`seq 1 ${NUMBERS}; sleep 1; exit\n`)
  let resizes = 0
  for (let isWhole = false; !isWhole; resizes++) {
    isWhole = await Promise.race([whole.then(() => true), user.resize(1 + below(200), 1 + below(500)).then(() => false)])
  }
  t.equal(hash.digest('hex'), expected.digest('hex'), `${size} bytes, ${resizes} sizes`)
})

t.test('a peer that leaves ends its shells at once; one that nobody comes back to ends after 30 s', options, async (t) => {
  const { port } = await serve(t)
  const clock = new ManualClock({ date: Date.now() })
  const toLaptop = await forwarder(t, port)
  const nas = await startPeer(t, port, { allow: ['shell'], clock })
  const open = async (laptop: NatpassPeer): Promise<number> => {
    const user = await browse(laptop)
    user.type('echo pid=$$.\n')
    return Number((await user.says(/pid=(\d+)\./))[1])
  }
  const leaving = await startPeer(t, port, { id: 'leaving', rules: RULES })
  const first = await open(leaving)
  await leaving.close()
  await until(() => nas.status().links === 0)
  await clock.pass(1000) // what it takes at most to be killed
  await until(() => !isRunning(first))

  const laptop = await startPeer(t, toLaptop.port, { id: 'laptop', rules: RULES, backoff: { first: 3_600_000, longest: 3_600_000 } })
  const second = await open(laptop)
  const offline = once(laptop, 'offline')
  toLaptop.cut()
  await offline
  await until(() => clock.waiting.includes(30_000))
  await clock.pass(29_000)
  t.ok(isRunning(second))
  await clock.pass(2000)
  await until(() => !isRunning(second))
  t.equal(nas.status().links, 0)
})

t.test('who may attach: the same client, with the token, while nobody is attached', options, async (t) => {
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['shell'] })
  const request = (token?: Uint8Array, received = 0): MessageInit =>
    ({ _type: 3, to: 'nas', link_id: LINK, creq: { name: 'sh', _type: 2, cshell: { exec: 'sh', env: ENV }, link: { version: 1, window: 1 << 20, token, received } } })
  const said = async (client: NatpassClient, pattern: RegExp): Promise<void> => {
    for (let heard = ''; !pattern.test(heard);) heard += contentOf(await client.next(isType('shellData')))
  }
  const laptop = await join(t, port, 'laptop')
  laptop.send(request())
  const { crep } = await laptop.next(isType('connectRep'))
  const token = crep?.link?.token as Uint8Array
  t.match(crep, { ok: true, link: { version: 1, window: 256 << 10, token: { length: 16 } } })
  laptop.send(data('nas', 'echo here=$((1+1)).\n'))
  await said(laptop, /here=2\./)
  const pid = await (async () => {
    laptop.send(data('nas', 'echo pid=$$.\n'))
    let heard = ''
    while (!/pid=(\d+)\./.test(heard)) heard += contentOf(await laptop.next(isType('shellData')))
    return Number(/pid=(\d+)\./.exec(heard)?.[1])
  })()
  const other = await join(t, port, 'other')
  const refused = async (client: NatpassClient, message: MessageInit): Promise<void> => {
    client.send(message)
    t.match(await client.next(isType('connectRep')), { from: 'nas', crep: { ok: false, msg: 'there is no such shell to attach to' } })
  }
  laptop.socket.destroy()
  await laptop.closed
  await other.settled()
  await until(() => nas.status().links === 1)
  await refused(other, request(token))
  const back = await join(t, port, 'laptop')
  await refused(back, request(Buffer.alloc(16)))
  await refused(back, request(Buffer.from(token.subarray(0, 15))))
  back.send(request(token))
  t.match((await back.next(isType('connectRep'))).crep, { ok: true, link: { window: 256 << 10 } })
  await said(back, /here=2\.[^]*pid=\d+\./)
  back.send(data('nas', 'echo again=$((2+2)).\n'))
  await said(back, /again=4\./)
  t.ok(isRunning(pid))
  back.send(ended('nas'))
  await until(() => !isRunning(pid) && nas.status().links === 0)
  await refused(back, request(token))
})

t.test('a program that ends at once tells its code', options, async (t) => {
  const { port } = await serve(t)
  await startPeer(t, port, { allow: ['shell'] })
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [{ name: 'no', target: 'nas', type: 'shell', exec: '/bin/false' }] })
  for (let i = 0; i < 10; i++) {
    const { link, exited } = await laptop.openShell('no')
    for await (const batch of link.source) void batch
    t.same(await exited, { code: 1, signal: undefined })
    await link.sink((async function * () {})())
  }
})

t.test('the loss and the client that is back come in one read', options, async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const accepted = once(server, 'connection')
  const nas = new NatpassPeer({ server: `127.0.0.1:${(server.address() as AddressInfo).port}`, secret: SECRET, id: 'nas', allow: ['shell'] })
  t.teardown(() => nas.close())
  await nas.start()
  const [socket] = await accepted
  t.teardown(() => { socket.destroy() })
  const laptop = new NatpassClient(socket, 'laptop')
  const request = (token?: Uint8Array): MessageInit =>
    ({ _type: 3, from: 'laptop', to: 'nas', link_id: LINK, creq: { name: 'sh', _type: 2, cshell: { exec: 'cat' }, link: { version: 1, window: 1 << 20, token } } })
  laptop.send(request())
  const token = (await laptop.next(isType('connectRep'))).crep?.link?.token as Uint8Array
  for (let i = 0; i < 5; i++) {
    laptop.send(data('nas', 'x'), { ...ended('nas'), from: 'server' }, request(token))
    const { crep } = await laptop.next(isType('connectRep'))
    t.match(crep, { ok: true })
    t.ok(Number(crep?.link?.received) <= i + 1)
  }
})

t.test('who waits to attach again asks again, and gives up after 30 s', async (t) => {
  const clock = new ManualClock()
  const { client, muxes } = await linkPair(t)
  const asked: LinkRequest[] = []
  const again: LinkRequest[] = []
  let isGone = false
  const shell = new RemoteShell({
    request: { client: 'nas', request: { name: 'sh' } },
    link: Object.assign(Object.create(client), { response: { token: Buffer.alloc(16, 7) } }),
    open: (request, signal) => {
      asked.push(request)
      return new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason) }) })
    },
    askAgain: (request) => { again.push(request) },
    resize () {},
    clock,
    onGone: () => { isGone = true }
  })
  const reading = drain(shell.link.source)
  muxes.client.abort(new Error('lost'))
  await until(() => asked.length === 1)
  t.match(asked, [{ client: 'nas', again: { id: String(client.id), token: Buffer.alloc(16, 7), received: 0 } }])
  for (let i = 0; i < 29; i++) await clock.pass(1000)
  t.same(again, Array(5).fill(asked[0]))
  t.same([asked.length, isGone, shell.isLost], [1, false, true])
  await clock.pass(1000)
  t.match(await reading, { message: 'the other end does not answer' })
  t.same([isGone, clock.waiting], [true, []])
})
