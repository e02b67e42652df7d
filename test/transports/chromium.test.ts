/** A browser at the other end. */
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { launchChromium, skipWithoutChromium } from '../helpers/chromium.ts'
import { accept, bytes, drain, failureOf, first, hear, listening } from '../helpers/ends.ts'
import { listenWebSocket } from '../../src/transports/index.ts'

t.test('Chromium', { skip: skipWithoutChromium }, async (t) => {
  const browser = await launchChromium()
  t.teardown(() => browser.close())
  // A page of our own, since some pages must not open connections to the loopback.
  const site = createServer((_request, response) => { response.setHeader('content-type', 'text/html').end('<!doctype html><title>test</title>') })
  site.listen(0, '127.0.0.1')
  await once(site, 'listening')
  t.teardown(() => {
    site.closeAllConnections()
    site.close()
  })
  const page = await browser.newPage()
  await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`)

  const start = async (t: Test) => {
    const { port, incoming } = await listening(t, (at) => listenWebSocket({ ...at, frames: { maxPayload: 1 << 20 } }))
    return { url: `ws://127.0.0.1:${port}/`, incoming }
  }

  t.test('sends what it gets', async (t) => {
    const { url, incoming } = await start(t)
    const closed = closeOf(page, `
      const socket = new WebSocket('${url}')
      socket.binaryType = 'arraybuffer'
      socket.onmessage = ({ data }) => socket.send(data)
    `)
    const server = await accept(t, incoming)
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 1 << 20]) {
      const message = bytes(size).map((_, i) => i * 5 + size)
      server.port.send([message])
      t.ok((await first(server.source)).equals(message), `${size} bytes`)
    }
    server.close(4000, 'enough')
    t.match(await failureOf(hear(server.source)), { closeCode: 4000 })
    t.same(await closed, { code: 4000, reason: 'enough', wasClean: true })
  })

  t.test('text', async (t) => {
    const { url, incoming } = await start(t)
    const script = `
      const socket = new WebSocket('${url}')
      socket.onopen = () => socket.send('κόσμε')
    `
    const refused = closeOf(page, script)
    const server = await accept(t, incoming)
    t.match(await failureOf(hear(server.source)), { closeCode: 1003 })
    t.match(await refused, { code: 1003, wasClean: true })
    const closed = closeOf(page, script)
    const listener = await accept(t, incoming)
    const heard = new Promise((resolve) => { listener.onText = (payload) => { resolve(Buffer.from(payload).toString()) } })
    const reading = drain(listener.source)
    t.equal(await heard, 'κόσμε')
    listener.close()
    t.equal(await reading, undefined)
    t.match(await closed, { code: 1000, wasClean: true })
  })

  t.test('closes', async (t) => {
    const { url, incoming } = await start(t)
    for (const [args, code, reason] of [['', 1005, ''], ['1000', 1000, ''], ["4321, 'because'", 4321, 'because']] as Array<[string, number, string]>) {
      const closed = closeOf(page, `
        const socket = new WebSocket('${url}')
        socket.onopen = () => {
          socket.send(new Uint8Array([1, 2, 3]))
          socket.close(${args})
        }
      `)
      const server = await accept(t, incoming)
      t.same([...await first(server.source)], [1, 2, 3])
      const err = await drain(server.source)
      if (code === 4321) t.match(err, { closeCode: code, reason })
      else t.equal(err, undefined)
      t.match(await closed, { code, wasClean: true })
    }
  })

  t.test('is cut off', async (t) => {
    const { url, incoming } = await start(t)
    const closed = closeOf(page, `const socket = new WebSocket('${url}')`)
    const server = await accept(t, incoming)
    server.abort(new Error('boom'))
    t.match(await closed, { code: 1006, wasClean: false })
  })

  t.test('answers pings', async (t) => {
    const { url, incoming } = await start(t)
    const closed = closeOf(page, `const socket = new WebSocket('${url}')`)
    const server = await accept(t, incoming)
    const ponged = new Promise((resolve) => { server.onPong = (payload) => { resolve(Buffer.from(payload).toString()) } })
    void drain(server.source)
    server.ping(Buffer.from('hello'))
    t.equal(await ponged, 'hello')
    server.close()
    t.match(await closed, { code: 1000 })
  })
})

/** Runs a script that makes a `socket`; resolves with how that was closed. */
const closeOf = (page: Page, script: string): Promise<{ code: number, reason: string, wasClean: boolean }> =>
  page.evaluate(`new Promise((resolve) => {
    ${script}
    socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean })
  })`)
