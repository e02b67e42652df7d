/** The reading end of a ring in a thread of its own: counts what comes, and ends at the first thing that is out of order. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { RingReader } from '../src/shared-ring.ts'

/** What the reader says when it has seen everything. */
export interface Outcome {
  messages: number
  sum: number
  /** What was wrong first. */
  fault?: string
}

const port = parentPort as MessagePort
const { memory, total } = workerData as { memory: SharedArrayBuffer, total: number }
const reader = new RingReader(memory)
const outcome: Outcome = { messages: 0, sum: 0 }

const say = (): void => { port.postMessage(outcome) }

function read (): void {
  reader.read((tag, to, from, batch) => {
    if (tag !== to * 2 || from !== to) outcome.fault ??= `tag ${tag} to ${to} from ${from}`
    for (const message of batch) {
      const view = new DataView(message.buffer, message.byteOffset, message.length)
      if (view.getUint32(0) !== outcome.messages) outcome.fault ??= `${view.getUint32(0)} in place of ${outcome.messages}`
      outcome.messages++
      for (const byte of message) outcome.sum = (outcome.sum * 31 + byte) | 0
    }
  })
  if (reader.wake()) port.postMessage('room')
  if (outcome.fault !== undefined || outcome.messages === total) say()
  else if (!reader.sleep()) setImmediate(read)
}

port.on('message', (message) => {
  if (message === 'end') port.close()
  else read()
})
read()
