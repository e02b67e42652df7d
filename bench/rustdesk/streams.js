/**
 * Pairs at a relay, one end of which sends what it can, and the other one takes it. Sent are the pages of a file, and what arrives is dropped by
 * the system, so that neither end copies a byte, and the relay is what takes the time.
 */
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { measured, serveLoad, sleep } from './load.js'
import { dial, drop, EPOLLOUT, makeNonBlocking, Poller, send, sendFile } from './sockets.js'
import { PAIR_PAUSE, requestRelay } from './wire.js'

const { BENCH_HOST: host, BENCH_PORT, BENCH_PAIRS } = process.env
const port = Number(BENCH_PORT)
const CHUNK = 256 * 1024
const PATIENCE = 5000
/** Numbers of receivers are above those of senders. */
const RECEIVER = 1 << 16

function openChunk () {
  const folder = mkdtempSync(join(tmpdir(), 'tunpipe-bench-'))
  try {
    writeFileSync(join(folder, 'chunk'), Buffer.alloc(CHUNK, 'd'))
    return openSync(join(folder, 'chunk'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const file = openChunk()
const poller = new Poller()

const open = (from) => Array.from({ length: Number(BENCH_PAIRS) }, (_, number) => {
  const fd = dial(from, host, port)
  send(fd, requestRelay(`stream ${process.pid} ${number}`))
  return fd
})

const receivers = open('10.9.4.1')
sleep(PAIR_PAUSE)
const pairs = open('10.9.4.2').map((sender, i) => ({ sender, receiver: receivers[i] }))
for (const [i, { sender, receiver }] of pairs.entries()) {
  makeNonBlocking(sender)
  poller.add(receiver, RECEIVER + i)
  poller.add(sender, i, 0)
}

function run (end) {
  let [sent, arrived, isOver] = [0, 0, false]
  for (const [i, { sender }] of pairs.entries()) poller.change(sender, i, EPOLLOUT)
  while (!isOver || arrived < sent) {
    const ready = poller.wait(PATIENCE, (data, events) => {
      if (data < RECEIVER) {
        if (isOver) poller.change(pairs[data].sender, data, 0)
        else sent += Math.max(0, sendFile(pairs[data].sender, file, CHUNK))
        return
      }
      const count = drop(pairs[data - RECEIVER].receiver, 4 * CHUNK)
      if (count === 0) throw new Error('the relay has closed a connection')
      arrived += Math.max(0, count)
    })
    if (ready === 0) throw new Error(`${sent - arrived} of ${sent} bytes did not arrive`)
    isOver ||= performance.now() > end
  }
  for (const [i, { sender }] of pairs.entries()) poller.change(sender, i, 0)
  return arrived
}

serveLoad(({ milliseconds }) => measured(milliseconds, run))
