/** Two programs in one process talk UDP through a relay: what a program of your own would do with `tunpipe/nodes/candy`. */
import { CandyPeer, serveCandy } from 'tunpipe/nodes/candy'
import { userspaceTun, type UserspaceTun } from 'tunpipe/tun'

const password = 'secret'
const relay = await serveCandy({ listen: 'ws://127.0.0.1:0', password, dhcp: '10.77.0.0/24', sourceCheck: 'strict' })

async function join (address: string): Promise<{ tun: UserspaceTun, peer: CandyPeer }> {
  const tun = userspaceTun()
  const peer = new CandyPeer({ url: relay.url, password, tun, address, direct: false }) // all packets go through the relay, which counts them
  peer.on('offline', ({ message }, wait) => { console.error(`offline: ${message}; next attempt in ${wait} ms`) })
  const online = new Promise((resolve, reject) => { peer.once('online', resolve).once('failed', reject) })
  peer.start()
  await online
  return { tun, peer }
}

const [server, client] = await Promise.all([join('10.77.0.2/24'), join('10.77.0.3/24')])

const service = server.tun.udp(5353)
void (async () => {
  for await (const batch of service) {
    for (const { address, port, data } of batch) service.send({ address, port, data: Buffer.from(`hello, ${Buffer.from(data).toString()}`) })
  }
})()

const socket = client.tun.udp()
socket.send({ address: '10.77.0.2', port: 5353, data: Buffer.from('world') })
for await (const [{ address, data }] of socket) {
  console.log(`${address}: ${Buffer.from(data).toString()}`)
  socket.close() // ends the loop
}

console.log(`the relay has forwarded ${relay.relay.stats.packetsOut} packets`)
await Promise.all([server.peer.close(), client.peer.close(), relay.close()])
await Promise.all([server.tun.close(), client.tun.close()]) // the interface is closed by its owner
