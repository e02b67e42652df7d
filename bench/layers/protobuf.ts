/** The protobuf cores against the static code of protobufjs alone, which checks neither text nor groups, and gives each message a buffer of its own. */
import { natpass } from '../../src/nodes/natpass/protocol/generated/natpass.js'
import { schemas } from '../../src/nodes/natpass/protocol/generated/schema.js'
import { MessageType } from '../../src/nodes/natpass/protocol/message-types.ts'
import type { MessageInit } from '../../src/nodes/natpass/protocol/messages.ts'
import { ProtobufDecoder, ProtobufEncoder } from '../../src/transforms/index.ts'
import { measure } from '../lib/harness.ts'
import type { Run } from '../lib/run.ts'

const BATCH = 32
const SHELL = 2
const ends = { from: 'laptop', to: 'nas', link_id: '0123456789abcdef0123456789abcdef' }

const data = (size: number): MessageInit => ({ ...ends, _type: MessageType.shellData, sdata: { data: Buffer.alloc(size, 'd') } })

const MESSAGES: Array<[what: string, message: MessageInit]> = [
  ['1 B of data', data(1)],
  ['1400 B of data', data(1400)],
  ['16 KiB of data', data(16 * 1024)],
  ['a request', { ...ends, _type: MessageType.connectReq, creq: { name: 'shell', _type: SHELL, cshell: { exec: '/bin/bash', env: ['TERM=xterm-256color', 'LANG=de_DE.UTF-8'] } } }]
]

export async function protobufBench (run: Run): Promise<void> {
  const type = natpass.msg
  for (const [what, message] of MESSAGES) {
    const messages = Array<MessageInit>(BATCH).fill(message)
    const frames = messages.map((each) => Buffer.from(type.encode(each).finish()))
    const decoder = new ProtobufDecoder({ type, schema: schemas.msg })
    const encoder = new ProtobufEncoder<MessageInit>({ type })
    const common = { params: { what }, unit: 'message' }
    const times = (push: () => unknown) => (): number => {
      for (let i = 0; i < BATCH; i++) push()
      return BATCH * BATCH
    }
    await measure(run, { ...common, bench: 'protobuf, decode', name: 'tunpipe', run: times(() => decoder.push(frames)) }, {
      name: 'protobufjs alone', run: times(() => frames.map((frame) => type.decode(frame)))
    })
    await measure(run, { ...common, bench: 'protobuf, encode', name: 'tunpipe', run: times(() => encoder.push(messages)) }, {
      name: 'protobufjs alone', run: times(() => messages.map((each) => type.encode(each).finish()))
    })
  }
}
