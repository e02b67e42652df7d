/** The WebSocket frame codec against that of `ws`: what a server does with masked messages that come, and with those that go. */
import * as ws from 'ws'
import { FrameDecoder, FrameEncoder } from '../../src/transforms/index.ts'
import { measure } from '../lib/harness.ts'
import type { Run } from '../lib/run.ts'

const unit = 'message'
const READ = 65536

/** The declarations of `ws` leave its codec out. */
interface Codec {
  Receiver: new (options: object) => { on (event: 'message', listener: () => void): void, write (read: Uint8Array): boolean }
  Sender: { frame (data: Uint8Array, options: object): Uint8Array[] }
}
const { Receiver, Sender } = ws as unknown as Codec

const sum = (parts: Uint8Array[]): number => parts.reduce((bytes, { length }) => bytes + length, 0)

export async function websocketFramesBench (run: Run): Promise<void> {
  for (const size of [64, 1360]) {
    const params = { size }
    const message = Buffer.alloc(size, 'tunpipe ')
    const count = Math.floor(READ / (size + 8))
    const messages = Array<Uint8Array>(count).fill(message)
    const wire = new FrameEncoder('client').push(messages)[0]
    const encoder = new FrameEncoder('server')
    const decoder = new FrameDecoder({ role: 'server' })

    const receiver = new Receiver({ isServer: true, allowSynchronousEvents: true })
    const progress = { got: 0 }
    receiver.on('message', () => { progress.got++ })

    // Unmasking is done in place, so both are given a fresh copy, as a socket would.
    await measure(run, {
      bench: 'websocket-frames, decode',
      name: 'tunpipe',
      params,
      unit,
      run: () => decoder.push([Buffer.from(wire)]).length
    }, {
      name: 'ws',
      async run () {
        const until = progress.got + count
        receiver.write(Buffer.from(wire))
        while (progress.got < until) await new Promise(setImmediate)
        return count
      }
    })
    // The rival makes headers only: it copies nothing and leaves two writes a message.
    await measure(run, {
      bench: 'websocket-frames, encode',
      name: 'tunpipe',
      params,
      unit,
      run: () => sum(encoder.push(messages)) > 0 ? count : 0
    }, {
      name: 'ws, headers only',
      run () {
        let bytes = 0
        for (const each of messages) bytes += sum(Sender.frame(each, { fin: true, rsv1: false, opcode: 2, mask: false, readOnly: true }))
        return bytes > 0 ? count : 0
      }
    })
  }
}
