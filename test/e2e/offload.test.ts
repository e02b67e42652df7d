/** A peer whose system hands large packets over, beside one whose system does not: what the latter gets and sends is the measure. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { once } from 'node:events'
import { executable } from '../helpers/programs/executables.ts'
import { readCapture, type ReadPacket } from '../helpers/pcapng.ts'
import { isRight } from '../helpers/tun/packets.ts'
import { Lab } from '../helpers/network/namespaces.ts'
import { joined, startPeer, startRelay } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { Agent } from '../helpers/network/traffic.ts'

/** Each way; together less than a capture holds for a program that writes it and has no time. */
const TRANSFER_BYTES = 1024 * 1024
const MTU = 1400
const SYN = 0x02

/** The bytes that one side of a TCP connection has sent, put together from its packets; of what came twice, both have to be the same. */
function streamOf (packets: readonly Buffer[]): Buffer {
  const first = packets.find((packet) => (packet[33] & SYN) !== 0)
  if (first === undefined) throw new Error('the connection has no beginning')
  const start = first.readUInt32BE(24) + 1
  const pieces = packets.map((packet) => ({ at: (packet.readUInt32BE(24) - start) >>> 0, bytes: packet.subarray(20 + (packet[32] >>> 4) * 4) })).filter(({ bytes }) => bytes.length > 0)
  const stream = Buffer.alloc(Math.max(...pieces.map(({ at, bytes }) => at + bytes.length)))
  const isThere = new Uint8Array(stream.length)
  for (const { at, bytes } of pieces) {
    for (let i = 0; i < bytes.length; i++) {
      if (isThere[at + i] === 1 && stream[at + i] !== bytes[i]) throw new Error(`byte ${at + i} was sent in two ways`)
      isThere[at + i] = 1
    }
    stream.set(bytes, at)
  }
  if (isThere.includes(0)) throw new Error('the stream has a gap')
  return stream
}

if (await canRun(t)) {
  await t.test('TCP between a peer with offloads and one without', { timeout: 90_000 }, async (t) => {
    const lab = new Lab(t)
    const folder = t.testdir()
    const relayHost = await lab.host('relay', '192.0.2.1/24')
    const [a, b] = await Promise.all(['a', 'b'].map((name, i) => lab.host(name, `192.0.2.${11 + i}/24`)))
    await startRelay(relayHost, 'ws://192.0.2.1:8080')
    const start = async (host: typeof a, name: string, args: string[]): Promise<{ address: string, offloads: unknown }> => {
      const peer = startPeer(host, { url: 'ws://192.0.2.1:8080/', stateDir: join(folder, name), args })
      const { offloads } = await peer.event('ready')
      return { address: await joined(peer), offloads }
    }
    const control = join(folder, 'b.sock')
    const [withAll, without] = [await start(a, 'a', []), await start(b, 'b', ['--offload', 'off', '--control', control])]
    t.same((withAll.offloads as string[]).slice(0, 2), ['checksum', 'tcp'])
    t.equal(without.offloads, undefined)

    const file = join(folder, 'b.pcapng')
    const capture = b.spawn(process.execPath, [executable('peer'), 'capture', '--control', control, '--write', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    await once(capture.stderr as NodeJS.ReadableStream, 'data') // it says that it has begun

    const agents = { a: new Agent(a), b: new Agent(b) }
    const port = await agents.b.call('serveExchange', TRANSFER_BYTES)
    const atA = await agents.a.call('exchange', without.address, port, TRANSFER_BYTES)
    const atB = await agents.b.call('exchanged', port)
    t.equal(atA.received, atB?.sent)
    t.equal(atB?.received, atA.sent)

    capture.kill('SIGINT')
    await once(capture, 'close')
    const { packets, statistics } = readCapture(readFileSync(file))
    t.ok(statistics.length > 0 && statistics.every(({ dropped }) => dropped === 0n), 'the capture is whole')
    const tcp = packets.filter(({ data }) => data[9] === 6)
    t.ok(tcp.every(({ data }) => data.length <= MTU && isRight(data)), 'no packet is longer than the interface carries, and all sums are right')
    const sent = (direction: ReadPacket['direction']): string => createHash('sha256').update(streamOf(tcp.filter((packet) => packet.direction === direction).map(({ data }) => data))).digest('hex')
    t.equal(sent('in'), atA.sent, 'what a peer with offloads sends is the stream of its user')
    t.equal(sent('out'), atB?.sent)
    t.ok(tcp.some(({ data }) => data.length === MTU))
  })
}
