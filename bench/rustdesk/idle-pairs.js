/** Pairs at a relay that have said something once. */
import { serveLoad } from './load.js'
import { dial, receiveSoon, send } from './sockets.js'
import { hostOf, requestRelay } from './wire.js'

const { BENCH_HOST: host, BENCH_PORT } = process.env
const port = Number(BENCH_PORT)
const WORD = Buffer.from('w')
const into = Buffer.alloc(16)
/** Ends of an address; relays bound these. */
const ENDS = 100

function open (number) {
  const hello = requestRelay(`idle ${number}`)
  const from = hostOf(Math.floor(number / ENDS * 2))
  const [one, other] = [dial(from, host, port), dial(from, host, port)]
  send(one, hello)
  send(other, hello)
  return [one, other]
}

serveLoad(({ from, count }) => {
  const pairs = Array.from({ length: count }, (_, i) => open(from + i))
  for (const [one, other] of pairs) {
    send(one, WORD)
    if (receiveSoon(other, into) !== 1) throw new Error('something else has arrived')
    send(other, WORD)
    if (receiveSoon(one, into) !== 1) throw new Error('something else has arrived')
  }
  return { count }
})
