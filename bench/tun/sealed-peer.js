/**
 * A tunnel with nothing but the path of a packet: the interface, a seal, UDP. No handshake, no protocol: the key is given, and so is the
 * other end. `sealed-peer.js DEVICE CIDR LOCAL PORT REMOTE`; `BENCH_KEY` is the key in hexadecimal digits.
 */
import { loadSealing, randomIvs } from 'tunpipe/crypto'
import { bindUdp } from 'tunpipe/transports'
import { openTun } from 'tunpipe/tun'

const [name, cidr, local, port, remote] = process.argv.slice(2)

/** IV, tag, text: 28 bytes that fit in front of a packet of an interface. */
const LAYOUT = { iv: 0, tag: 12, text: 28 }

const tun = await openTun({ name })
await tun.setAddress(cidr)
const socket = await bindUdp({ host: local, port: Number(port) })
const sealing = await loadSealing()
const cipher = sealing.cipher({ key: Buffer.from(process.env.BENCH_KEY, 'hex'), layout: LAYOUT, ivs: randomIvs() })

const to = { host: remote, port: Number(port) }

function seal (packet) {
  const datagram = new Uint8Array(packet.buffer, packet.byteOffset - LAYOUT.text, packet.length + LAYOUT.text)
  cipher.seal(datagram)
  return { data: datagram, host: to.host, port: to.port }
}

void tun.flow((packets) => {
  socket.port.send(packets.map(seal))
  if (socket.port.queued > 0) return socket.port.drained() // the memory is in use until then
})

void socket.flow((datagrams) => {
  const packets = []
  for (const { data } of datagrams) if (cipher.open(data)) packets.push(new Uint8Array(data.buffer, data.byteOffset + LAYOUT.text, data.length - LAYOUT.text))
  tun.port.send(packets)
})

console.log(`ready, sealed by ${sealing.implementation}, UDP with ${socket.offloads.join(', ')}`)
