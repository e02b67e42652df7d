/**
 * A process that gets more than it reads; started as `udp-flood.ts <scenario> <io> <datagrams>`. How much memory it has taken for that, in MiB,
 * and what was counted go to standard output as one JSON object.
 */
import { bindUdp } from '../../../src/transports/udp/bind.ts'
import { listenUdp } from '../../../src/transports/udp/listener.ts'
import type { UdpLink } from '../../../src/transports/udp/flow.ts'
import type { UdpIo, UdpSocket } from '../../../src/transports/udp/socket.ts'

const [, , scenario, io, amount] = process.argv as [string, string, keyof typeof scenarios, UdpIo, string]
const datagrams = Number(amount)

const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })
const until = async (condition: () => boolean): Promise<void> => { while (!condition()) await turn() }

const SOURCES = 50
const BURST = 100
const SIZES = [0, 1, 100, 1400, 1400, 1400, 9000]

function memory (): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage() // array buffers are external memory
  return (heapUsed + external) / 2 ** 20
}

/** The most memory that is taken at any time. */
async function flood (to: { host: string, port: number }): Promise<number> {
  const senders = await Promise.all(Array.from({ length: SOURCES }, () => bindUdp({ host: '127.0.0.1', port: 0 })))
  const batches = SIZES.map((size) => Array.from({ length: BURST }, () => ({ data: Buffer.alloc(size), ...to })))
  let most = 0
  const before = memory()
  for (let sent = 0, round = 0; sent < datagrams; sent += BURST, round++) {
    const sender: UdpSocket = senders[round % SOURCES]
    sender.port.send(batches[round % SIZES.length])
    if (round % 10 === 9) await turn()
    if (round % 200 === 199) most = Math.max(most, memory() - before)
  }
  await turn()
  for (const sender of senders) sender.close()
  return Math.max(most, memory() - before)
}

const scenarios = {
  /** Nobody reads. */
  async unread () {
    const socket = await bindUdp({ host: '127.0.0.1', port: 0, io })
    const most = await flood(socket.local)
    const { dropped } = socket
    socket.close()
    return { most, dropped: dropped > 0 }
  },

  /** Somebody reads a little now and then. */
  async slow () {
    const socket = await bindUdp({ host: '127.0.0.1', port: 0, io })
    const reads = socket.source[Symbol.asyncIterator]()
    let got = 0
    const timer = setInterval(() => { void reads.next().then(({ value }) => { got += value?.length ?? 0 }) }, 20)
    const most = await flood(socket.local)
    clearInterval(timer)
    const { dropped } = socket
    socket.close()
    return { most, dropped: dropped > 0, got: got > 0 }
  },

  /** A reader that is called is busy for a long time. */
  async busy () {
    const socket = await bindUdp({ host: '127.0.0.1', port: 0, io }) as Required<UdpSocket>
    let got = 0
    const flowing = socket.flow(async (batch) => {
      got += batch.length
      for (let i = 0; i < 10; i++) await turn()
    })
    const most = await flood(socket.local)
    const { dropped } = socket
    socket.close()
    await flowing
    return { most, dropped: dropped > 0, got: got > 0 }
  },

  /** Links that nobody accepts. */
  async links () {
    const listener = listenUdp({ host: '127.0.0.1', port: 0, io, maxFlows: 20, flowLimit: 1 << 16 })
    const most = await flood({ host: '127.0.0.1', port: await listener.port() })
    const { flows, refused } = listener
    listener.close()
    return { most, flows, refused: refused > 0 }
  },

  /** One link is read. Others, which nobody reads, get a small datagram now and then: each is small, and they must not keep what came with them. */
  async beside () {
    const listener = listenUdp({ host: '127.0.0.1', port: 0, io })
    const to = { host: '127.0.0.1', port: await listener.port() }
    const [bulk, small] = [await bindUdp({ host: '127.0.0.1', port: 0 }), await bindUdp({ host: '127.0.0.1', port: 0 })]
    let read = 0
    const idle: UdpLink[] = []
    void (async () => {
      for await (const link of listener) {
        if (link.remote.port === bulk.local.port) void (async () => { for await (const batch of link.source) read += batch.length })()
        else idle.push(link)
      }
    })()
    const batch = Array.from({ length: 40 }, () => ({ data: Buffer.alloc(1400), ...to }))
    bulk.port.send(batch.slice(0, 1))
    await until(() => read === 1)
    const before = memory()
    let most = 0
    for (let sent = 0, round = 0; sent < datagrams; sent += batch.length, round++) {
      const goal = read + batch.length
      bulk.port.send(batch)
      if (round % 4 === 0) small.port.send([{ data: Buffer.alloc(1), ...to }])
      await until(() => read >= goal)
      if (round % 500 === 499) most = Math.max(most, memory() - before)
    }
    most = Math.max(most, memory() - before)
    for (const socket of [bulk, small, listener]) socket.close()
    return { most, links: idle.length }
  }
}

const { most, ...seen } = await scenarios[scenario]()
console.log(JSON.stringify({ most: Math.round(most), ...seen }))
