/** Relays of all protocols in one process, as one configuration file makes them: the built package. Asked for `ports`, it tells them by protocol. */
import { Identity, serveShowchain } from 'tunpipe/nodes/showchain'
import { serveCandy } from 'tunpipe/nodes/candy'
import { serveGotunnel } from 'tunpipe/nodes/gotunnel'
import { serveNatpass } from 'tunpipe/nodes/natpass'
import { serveRendezvous } from 'tunpipe/nodes/rustdesk'
import { report } from '../lib/child.js'

const { BENCH_PASSWORD: password } = process.env
const host = '127.0.0.1'

const portOf = ({ url }) => Number(new URL(url).port)

const peers = new Map()
const store = { find: async (id) => peers.get(id), put: async (peer) => { peers.set(peer.id, peer) } }

const candy = await serveCandy({ listen: `ws://${host}:0`, password, dhcp: '10.0.0.0/8' })
const gotunnel = await serveGotunnel({ listen: `${host}:0`, bind: host, identities: [{ name: 'bench', token: password, ports: '1024-65535' }] })
const natpass = await serveNatpass({ listen: `${host}:0`, secret: password })
const rustdesk = await serveRendezvous({ bind: host, port: 0, store })
const showchain = await serveShowchain({ listen: `udp://${host}:0`, identity: await Identity.generate(2048) })

const count = (counts) => Object.values(counts).reduce((sum, one) => sum + one, 0)

report(portOf(showchain), () => {
  const { drops, challenges } = showchain.status()
  return count(drops) + challenges
})
process.on('message', ({ ports }) => {
  if (ports) process.send({ candy: portOf(candy), gotunnel: portOf(gotunnel), natpass: portOf(natpass), rustdesk: rustdesk.ports.udp })
})
