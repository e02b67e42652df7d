/** Peers that are known, and say again and again that they are there: several on each of several sockets. */
import { measured, serveLoad } from './load.js'
import { Bursts, openUdp, Poller, receiveSoon, send } from './sockets.js'
import { decode, idOf, registerKey, registerPeer } from './wire.js'

const { BENCH_HOST: host, BENCH_PORT, BENCH_ECHO } = process.env
const port = Number(BENCH_PORT)
const isEcho = BENCH_ECHO !== undefined
const SOCKETS = 16
const PEERS = 16
/** Datagrams of a socket without an answer: of all sockets no more than fit into the one of the server. */
const WINDOW = 8
const PATIENCE = 5000

const poller = new Poller()
const into = Buffer.alloc(2048)

const sockets = Array.from({ length: SOCKETS }, (_, i) => {
  const fd = openUdp(`10.9.3.${1 + i}`, host, port)
  const ids = Array.from({ length: PEERS }, (_, n) => idOf(2_000_000 + i * PEERS + n))
  if (!isEcho) {
    for (const id of ids) {
      send(fd, registerKey(id))
      const { register_pk_response: answer } = decode(into.subarray(0, receiveSoon(fd, into)))
      if (answer?.result !== 0) throw new Error(`${id} is refused: ${answer?.result}`)
    }
  }
  const hellos = ids.map(registerPeer)
  poller.add(fd, i)
  // the answer is empty, and not that a key is wanted
  return { bursts: new Bursts(fd, hellos, WINDOW, isEcho ? hellos[0].length : 2), fd }
})

function run (end) {
  let [sent, done] = [0, 0]
  for (const { bursts } of sockets) sent += bursts.send(WINDOW)
  while (done < sent) {
    const ready = poller.wait(PATIENCE, (i) => {
      const { bursts } = sockets[i]
      const count = bursts.receive()
      done += count
      if (count > 0 && performance.now() < end) sent += bursts.send(count)
    })
    if (ready === 0) throw new Error(`${sent - done} of ${sent} datagrams got no answer`)
  }
  return done
}

serveLoad(({ milliseconds }) => measured(milliseconds, run))
