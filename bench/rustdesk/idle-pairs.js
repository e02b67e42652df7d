/** Pairs at a relay that have said something once. */
import { serveLoad, sleep } from './load.js'
import { dial, receiveSoon, send } from './sockets.js'
import { hostOf, PAIR_PAUSE, requestRelay } from './wire.js'

const { BENCH_HOST: host, BENCH_PORT } = process.env
const port = Number(BENCH_PORT)
const WORD = Buffer.from('w')
const into = Buffer.alloc(16)
/** Pairs of an address, as relays bound these. */
const PAIRS = 50

/** One end of a pair. */
function open (number) {
  const fd = dial(hostOf(Math.floor(number / PAIRS)), host, port)
  send(fd, requestRelay(`idle ${number}`))
  return fd
}

/** Waits for a word at the other end. */
function say (one, other) {
  send(one, WORD)
  if (receiveSoon(other, into) !== WORD.length) throw new Error('the relay has ended a pair')
}

serveLoad(({ from, count }) => {
  for (let at = from; at < from + count; at += PAIRS) {
    const numbers = Array.from({ length: Math.min(PAIRS, from + count - at) }, (_, i) => at + i)
    const ones = numbers.map(open)
    sleep(PAIR_PAUSE)
    const others = numbers.map(open)
    for (const [i, one] of ones.entries()) {
      say(one, others[i])
      say(others[i], one)
    }
  }
  return { count }
})
