/** Two peers behind NATs look for a direct path, for all pairs of NAT kinds. `node --import tsx examples/hole-punching.ts` */
import { consume, type Datagram, type Endpoint } from 'tunpipe'
import { NAT_KINDS, SimulatedNetwork, type NatInit, type NatKind, type UdpSocket } from 'tunpipe/transports'

type NatOptions = Omit<NatInit, 'inside' | 'outside' | 'address'>

type Message =
  | { type: 'here', name: string } // a peer to the rendezvous host
  | { type: 'peer', at: Endpoint } // the rendezvous host to a peer: where the other one is seen
  | { type: 'punch' } // from peer to peer
  | { type: 'heard' } // the answer to that

const say = (socket: UdpSocket, { host, port }: Endpoint, message: Message): void => { socket.port.send([{ data: Buffer.from(JSON.stringify(message)), host, port }]) }

function hear (socket: UdpSocket, onMessage: (message: Message, from: Endpoint) => void): void {
  consume<Datagram>(socket, (batch) => { for (const { data, ...from } of batch) onMessage(JSON.parse(Buffer.from(data).toString()) as Message, from) }).catch(() => {})
}

/** Whether each of them hears an answer of the other one. The second one begins so many milliseconds later. */
async function meets (one: NatOptions, other: NatOptions, later = 0): Promise<boolean> {
  const network = new SimulatedNetwork({ seed: 1 })
  const { clock } = network
  const internet = network.subnet('0.0.0.0/0', { delay: 20, jitter: 5 })
  const rendezvous = await network.host({ on: internet, address: '198.51.100.1', name: 'rendezvous' }).bindUdp({ port: 3478 })

  const seen = new Map<string, Endpoint>()
  hear(rendezvous, (message, from) => {
    if (message.type === 'here') seen.set(message.name, from)
    const [first, second] = [seen.get('a'), seen.get('b')]
    if (first === undefined || second === undefined) return
    say(rendezvous, first, { type: 'peer', at: second })
    clock.set(later, () => { say(rendezvous, second, { type: 'peer', at: first }) })
  })

  const direct = new Set<string>()
  for (const [name, address, options] of [['a', '203.0.113.7', one], ['b', '203.0.113.8', other]] as const) {
    const home = network.subnet('192.168.1.0/24', { name: `home of ${name}` })
    network.nat({ inside: home, outside: internet, address, ...options })
    const socket = await network.host({ on: home, address: '192.168.1.2', name }).bindUdp({ port: 5000 })
    hear(socket, (message, from) => {
      if (message.type === 'peer') for (let i = 0; i < 10; i++) clock.set(i * 200, () => { say(socket, message.at, { type: 'punch' }) })
      if (message.type === 'punch') { // it may come from elsewhere than where the rendezvous host has seen the other one
        say(socket, from, { type: 'heard' })
        if (!direct.has(name)) say(socket, from, { type: 'punch' })
      }
      if (message.type === 'heard') direct.add(name)
    })
    say(socket, rendezvous.local, { type: 'here', name })
  }
  await clock.pass(5000)
  return direct.size === 2
}

const kinds = Object.keys(NAT_KINDS) as NatKind[]
console.log(['', ...kinds].map((kind) => kind.padEnd(22)).join('').trimEnd())
for (const one of kinds) {
  const cells = []
  for (const other of kinds) cells.push(await meets({ kind: one }, { kind: other }) ? 'direct' : 'relay needed')
  console.log([one, ...cells].map((cell) => cell.padEnd(22)).join('').trimEnd())
}

const linux: NatOptions = { kind: 'port-restricted-cone', portPreservation: true, remapsAfterUnsolicited: true, inboundRefresh: true }
for (const later of [0, 500]) console.log(`two NATs of Linux, the second peer ${later} ms later: ${await meets(linux, linux, later) ? 'direct' : 'relay needed'}`)
