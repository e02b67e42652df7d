/**
 * Clients that ask for peers, and the peers: each round so many punches at once, each of which is a connection of the client, a datagram
 * to the peer, a connection of the peer, and the answer to the client.
 */
import { measured, serveLoad } from './load.js'
import { close, dial, openUdp, Poller, receive, receiveSoon, send } from './sockets.js'
import { ASYMMETRIC, decode, frame, hostOf, idOf, registerKey, registerPeer, unframe, VERSION } from './wire.js'

const { BENCH_HOST: host, BENCH_PORT: portText, BENCH_KEY: key, BENCH_PEERS: peerCount } = process.env
const port = Number(portText)
/** Milliseconds without an answer after which a punch counts as lost. */
const PATIENCE = 5000
/** Peers that are asked for an answer at once. */
const AT_ONCE = 64
/** Addresses of clients. */
const CLIENT_HOSTS = 16
/** Numbers of peers are above those of clients. */
const PEER = 1 << 16

const into = Buffer.alloc(65536)
const poller = new Poller()

const clientHost = (number) => `10.9.1.${1 + number % CLIENT_HOSTS}`

/** Peers, each at an address of its own. They are many, as a server bounds how often one is asked. */
const peers = Array.from({ length: Number(peerCount) }, (_, i) => {
  const id = idOf(i)
  const from = hostOf(i)
  const fd = openUdp(from, host, port)
  const request = frame({ punch_hole_request: { id, nat_type: ASYMMETRIC, licence_key: key, version: VERSION } })
  return { id, from, fd, request, hello: registerPeer(id) }
})

/** All peers send something, some at a time, and their answers are checked. */
function askAll (bytesOf, check) {
  for (let at = 0; at < peers.length; at += AT_ONCE) {
    const some = peers.slice(at, at + AT_ONCE)
    for (const peer of some) send(peer.fd, bytesOf(peer))
    for (const { id, fd } of some) check(id, decode(into.subarray(0, receiveSoon(fd, into))))
  }
}

askAll(({ id }) => registerKey(id), (id, { register_pk_response: answer }) => {
  if (answer?.result !== 0) throw new Error(`the key of ${id} is refused: ${answer?.result}`)
})
for (const [i, { fd }] of peers.entries()) poller.add(fd, PEER + i)

/** All peers are online, which they are for 30 s. */
function heartBeat () {
  askAll(({ hello }) => hello, (id, { register_peer_response: answer }) => {
    if (answer?.request_pk !== false) throw new Error(`${id} is not known`)
  })
}

/** Answers all that a peer was asked. */
function servePeer ({ id, from, fd }) {
  for (let length; (length = receive(fd, into)) >= 0;) {
    const { punch_hole: asked } = decode(into.subarray(0, length))
    if (asked === undefined) continue
    const connection = dial(from, host, port)
    send(connection, frame({ punch_hole_sent: { socket_addr: asked.socket_addr, id, relay_server: `${host}:21117`, nat_type: ASYMMETRIC, version: VERSION } }))
    close(connection)
  }
}

/** Reads what a client has got: whether that is the answer. The offer of keys, which a server makes to who says nothing for long, is none. */
function isAnswered (fd) {
  const length = receive(fd, into)
  if (length === 0) throw new Error('the server has closed the connection of a client')
  for (const message of unframe(into.subarray(0, length))) {
    const { punch_hole_response: answer } = message
    if (answer?.socket_addr.length > 0 && answer.pk.length > 64) return true
    if (message.key_exchange == null) throw new Error(`a client got ${JSON.stringify(message)}`)
  }
  return false
}

/** Punches until the time is over and all are answered. */
function run (end, inFlight) {
  const clients = Array(inFlight)
  let [started, done] = [0, 0]
  const begin = (slot) => {
    const peer = peers[started++ % peers.length]
    const fd = clients[slot] = dial(clientHost(slot), host, port)
    send(fd, peer.request)
    poller.add(fd, slot)
  }
  for (let slot = 0; slot < inFlight; slot++) begin(slot)
  while (done < started) {
    const ready = poller.wait(PATIENCE, (data) => {
      if (data >= PEER) {
        servePeer(peers[data - PEER])
        return
      }
      if (!isAnswered(clients[data])) return
      close(clients[data])
      done++
      if (performance.now() < end) begin(data)
    })
    if (ready === 0) throw new Error(`${started - done} of ${started} punches got no answer`)
  }
  return done
}

serveLoad(({ milliseconds, inFlight }) => {
  heartBeat()
  return measured(milliseconds, (end) => run(end, inFlight))
})
