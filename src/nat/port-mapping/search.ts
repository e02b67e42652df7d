/** Where the gateways of a network are: SSDP of UPnP, and the table of routes. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv4 } from 'node:net'
import { wait } from '../../streams/clock.ts'
import type { Clock } from '../../types.ts'

const GROUP = '239.255.255.250'
const PORT = 1900
const SEARCH = [
  'M-SEARCH * HTTP/1.1', `HOST: ${GROUP}:${PORT}`, 'MAN: "ssdp:discover"', 'MX: 1', 'ST: urn:schemas-upnp-org:device:InternetGatewayDevice:2', '', ''
].join('\r\n')

/** Searches, and milliseconds for the answers to each. */
const SEARCHES = 3
const SEARCH_TIME = 400

/** Gateways of one network, and bytes of an answer. */
const MOST_GATEWAYS = 4
const MOST_BYTES = 2048

/** The URLs of descriptions of gateways; only those at the host that has answered. */
export async function searchGateways (address: string, clock: Clock): Promise<URL[]> {
  const found = new Map<string, URL>()
  const socket = createSocket('udp4')
  socket.on('error', () => {}) // a network that is gone has no gateway
  socket.on('message', (message, { address: from }) => {
    const location = message.length > MOST_BYTES ? undefined : /^location:[ \t]*(\S+)[ \t]*\r?$/im.exec(message.toString('latin1'))?.[1]
    if (location === undefined || found.size >= MOST_GATEWAYS || !URL.canParse(location)) return
    const url = new URL(location)
    if (url.protocol === 'http:' && url.hostname === from) found.set(url.href, url)
  })
  try {
    socket.bind(0, address)
    await once(socket, 'listening')
    socket.setMulticastInterface(address)
    for (let i = 0; i < SEARCHES && found.size === 0; i++) {
      socket.send(SEARCH, PORT, GROUP)
      await wait(clock, SEARCH_TIME)
    }
  } finally {
    socket.close()
  }
  return [...found.values()]
}

/** The next hop of the default route with the smallest metric, of the text of /proc/net/route. Undefined when there is none. */
export function defaultGateway (routes: string): string | undefined {
  const defaults = routes.split('\n').map((line) => line.trim().split(/\s+/))
    .filter(([, destination, gateway, flags, , , , mask]) => destination === '00000000' && mask === '00000000' && /^[0-9a-f]{8}$/i.test(gateway) && (Number(`0x${flags}`) & 2) !== 0)
    .sort((a, b) => Number(a[6]) - Number(b[6]))
  if (defaults.length === 0) return undefined
  // in the order of bytes of the machine, which is little-endian wherever Node runs but on s390x
  const host = Buffer.from(defaults[0][2], 'hex').reverse().join('.')
  return isIPv4(host) ? host : undefined
}
