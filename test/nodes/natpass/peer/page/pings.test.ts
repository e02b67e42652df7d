/** Browsers that are gone without a word, and those that only seem to be. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { ManualClock } from '../../../../helpers/clock.ts'
import { pingEach } from '../../../../../src/nodes/natpass/peer/page/pings.ts'

const INTERVAL = 15_000

interface Pair {
  clock: ManualClock
  /** Of the page. */
  socket: WebSocket
  browser: WebSocket
  /** The time of a ping has come: it has arrived. */
  pass (): Promise<void>
}

/** @param autoPong - the browser answers pings */
async function pair (t: Test, autoPong: boolean): Promise<Pair> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  t.teardown(() => { server.close() })
  await once(server, 'listening')
  const browser = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, { autoPong })
  t.teardown(() => { browser.terminate() })
  const [[socket]] = await Promise.all([once(server, 'connection') as Promise<[WebSocket]>, once(browser, 'open')])
  const clock = new ManualClock()
  pingEach(INTERVAL, socket, clock)
  return {
    clock,
    socket,
    browser,
    async pass () {
      const pinged = once(browser, 'ping')
      clock.advance(INTERVAL)
      await pinged
    }
  }
}

t.test('one that answers stays; the timer goes with it', async (t) => {
  const { clock, socket, browser, pass } = await pair(t, true)
  for (let i = 0; i < 5; i++) {
    const answered = once(socket, 'pong')
    await pass()
    await answered
  }
  t.same([socket.readyState, clock.holding], [WebSocket.OPEN, []])
  browser.close()
  await once(socket, 'close')
  t.same(clock.waiting, [])
})

t.test('one that says nothing is gone when the second ping is due', async (t) => {
  const { clock, socket, pass } = await pair(t, false)
  await pass()
  t.equal(socket.readyState, WebSocket.OPEN)
  clock.advance(INTERVAL)
  await once(socket, 'close')
  t.same(clock.waiting, [])
})

t.test('one that sends something is there, although its answer waits behind that', async (t) => {
  const { socket, browser, pass } = await pair(t, false)
  for (let i = 0; i < 5; i++) {
    await pass()
    browser.send('more of it')
    await once(socket, 'message')
  }
  t.equal(socket.readyState, WebSocket.OPEN)
})

t.test('one whose input is paused is not gone, and has an interval to answer in afterwards', async (t) => {
  const { clock, socket, pass } = await pair(t, false)
  socket.pause()
  for (let i = 0; i < 5; i++) await pass()
  socket.resume()
  await pass()
  t.equal(socket.readyState, WebSocket.OPEN)
  clock.advance(INTERVAL)
  await once(socket, 'close')
  t.pass('and is gone when it does not')
})
