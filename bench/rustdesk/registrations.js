/**
 * Peers that register their keys for the first time, each from an address of its own, as servers bound how many an address may register:
 * so many at once, for a time, or so many in all. The latter also say that they are there.
 */
import { measured, serveLoad } from './load.js'
import { close, openUdp, Poller, receive, send } from './sockets.js'
import { decode, hostOf, idOf, registerKey, registerPeer } from './wire.js'

const { BENCH_HOST: host, BENCH_PORT } = process.env
const port = Number(BENCH_PORT)
/** Milliseconds without an answer after which one counts as lost. */
const PATIENCE = 10_000
const IN_FLIGHT = 64

const into = Buffer.alloc(2048)
const poller = new Poller()
/** The number of the next peer. */
let next = 0

/**
 * @param mayBegin whether one more registers
 * @param isHeard whether each also says that it is there
 */
function register (mayBegin, isHeard) {
  const slots = Array(IN_FLIGHT)
  const total = { started: 0, done: 0 }
  const begin = (slot) => {
    const number = next++
    const fd = openUdp(hostOf(number), host, port)
    slots[slot] = { fd, id: idOf(number) }
    total.started++
    send(fd, registerKey(slots[slot].id))
    poller.add(fd, slot)
  }
  const end = (slot) => {
    close(slots[slot].fd)
    total.done++
    if (mayBegin(total.started)) begin(slot)
  }
  for (let slot = 0; slot < IN_FLIGHT && mayBegin(total.started); slot++) begin(slot)
  while (total.done < total.started) {
    const ready = poller.wait(PATIENCE, (slot) => {
      const { fd, id } = slots[slot]
      const { register_pk_response: key, register_peer_response: heard } = decode(into.subarray(0, receive(fd, into)))
      if (heard?.request_pk === false) return end(slot)
      if (key?.result !== 0) throw new Error(`${id} is refused: ${JSON.stringify(key ?? heard)}`)
      if (isHeard) send(fd, registerPeer(id))
      else end(slot)
    })
    if (ready === 0) throw new Error(`${total.started - total.done} of ${total.started} registrations got no answer`)
  }
  return total.done
}

serveLoad(({ milliseconds, from, count }) => {
  if (milliseconds !== undefined) return measured(milliseconds, (end) => register(() => performance.now() < end, false))
  next = from
  return { count: register((started) => started < count, true) }
})
