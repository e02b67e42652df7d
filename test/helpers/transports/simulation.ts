/** Sockets of simulated hosts: saying something, and what was heard. */
import { consume } from '../../../src/streams/consume.ts'
import type { SimulatedHost, SimulatedNetwork } from '../../../src/transports/memory/index.ts'
import type { UdpInit, UdpSocket } from '../../../src/transports/udp/socket.ts'
import type { Datagram, Endpoint } from '../../../src/types.ts'

export interface Talker {
  socket: UdpSocket
  local: Endpoint
  /** What has come: the text, and from where. */
  heard: Array<[text: string, from: string]>
  say (to: Endpoint, text?: string): void
}

export const text = ({ host, port }: Endpoint): string => `${host}:${port}`

/** A socket of a host, which hears all that comes. */
export async function talker (host: SimulatedHost, port = 0, init: UdpInit = {}): Promise<Talker> {
  const socket = await host.bindUdp({ port, ...init })
  const heard: Talker['heard'] = []
  consume<Datagram>(socket, (batch) => { for (const { data, ...from } of batch) heard.push([Buffer.from(data).toString(), text(from)]) }).catch(() => {})
  return { socket, local: socket.local, heard, say: (to, what = 'x') => { socket.port.send([{ data: Buffer.from(what), ...to }]) } }
}

/** Says something, waits until it must have come, and tells what was heard of it, and from where. */
export async function told (network: SimulatedNetwork, from: Talker, to: Talker, at: Endpoint = to.local): Promise<string | undefined> {
  const before = to.heard.length
  from.say(at, `from ${from.local.port}`)
  await network.clock.pass(500)
  return to.heard.length > before ? to.heard[to.heard.length - 1][1] : undefined
}

/** From the text `203.0.113.7:1024`. */
export function endpoint (address: string | undefined): Endpoint {
  if (address === undefined) throw new Error('nothing was heard')
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
}
