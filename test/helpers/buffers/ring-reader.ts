/** The reading end of a ring in a thread of its own: counts what comes, and ends at the first thing that is out of order. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { RingReader } from '../../../src/buffers/shared-ring.ts'

/** What the reader says when it has seen everything. */
export interface Outcome {
  blocks: number
  sum: number
  /** What was wrong first. */
  fault?: string
}

const port = parentPort as MessagePort
const { memory, total } = workerData as { memory: SharedArrayBuffer, total: number }
const reader = new RingReader(memory)
const outcome: Outcome = { blocks: 0, sum: 0 }

const say = (): void => { port.postMessage(outcome) }

function read (): void {
  reader.read(([double, to, from], block) => {
    if (double !== to * 2 || from !== to) outcome.fault ??= `${double}, ${to}, ${from}`
    const number = new DataView(block.buffer, block.byteOffset, block.length).getUint32(0)
    if (number !== outcome.blocks) outcome.fault ??= `${number} in place of ${outcome.blocks}`
    outcome.blocks++
    for (const byte of block) outcome.sum = (outcome.sum * 31 + byte) | 0
  })
  if (reader.wake()) port.postMessage('room')
  if (outcome.fault !== undefined || outcome.blocks === total) say()
  else if (!reader.sleep()) setImmediate(read)
}

port.on('message', read)
read()
