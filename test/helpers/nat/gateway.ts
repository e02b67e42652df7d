/** A gateway on the loopback that does what a test wants: NAT-PMP at one address, SSDP and SOAP of UPnP at another. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export const PMP_ADDRESS = '127.0.0.5'
const GROUP = '239.255.255.250'
const DEVICE = 'urn:schemas-upnp-org:device:InternetGatewayDevice:2'
const SERVICE = 'urn:schemas-upnp-org:service:WANIPConnection:2'

async function udp (t: Test, port: number, address: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  socket.bind(port, address)
  await once(socket, 'listening')
  t.teardown(() => { socket.close() })
  return socket
}

/** Answers of NAT-PMP, RFC 6886 section 3. */
export const pmpAddress = (host: string): Buffer => Buffer.from([0, 128, 0, 0, 0, 0, 0, 1, ...host.split('.').map(Number)])
export function pmpMapped (port: number, internal: number, lease: number): Buffer {
  const answer = Buffer.from([0, 129, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
  answer.writeUInt16BE(internal, 8)
  answer.writeUInt16BE(port, 10)
  answer.writeUInt32BE(lease, 12)
  return answer
}

/** Answers requests of NAT-PMP with what `answer` returns. Returns the requests as they come, a mapping as `map 5000 3600`. */
export async function natPmp (t: Test, answer: (request: Buffer) => Buffer | undefined): Promise<string[]> {
  const seen: string[] = []
  const socket = await udp(t, 5351, PMP_ADDRESS)
  socket.on('message', (request, { address, port }) => {
    seen.push(request[1] === 0 ? 'address' : `map ${request.readUInt16BE(4)} ${request.readUInt32BE(8)}`)
    const said = answer(request)
    if (said !== undefined) socket.send(said, port, address)
  })
  return seen
}

export const goodPmp = (host: string, port = 6000) => (request: Buffer): Buffer =>
  request[1] === 0 ? pmpAddress(host) : pmpMapped(port, request.readUInt16BE(4), request.readUInt32BE(8))

export interface UpnpInit {
  /** Of the description. Default: that of this gateway. */
  location?: string
  control?: string
  /** Default: a description with one service. */
  describe?: (response: ServerResponse) => void
  /** The body of the answer to an action. */
  act?: (action: string, response: ServerResponse) => string | undefined
}

const xml = (response: ServerResponse, body: string): void => { response.setHeader('content-type', 'text/xml').end(body) }

/** Returns the actions as they come, each with its arguments. */
export async function upnp (t: Test, { location, control = '/control', describe, act }: UpnpInit): Promise<string[]> {
  const seen: string[] = []
  const server = createServer((request, response) => {
    response.on('error', () => {})
    if (request.method === 'GET') {
      if (describe !== undefined) describe(response)
      else xml(response, `<root><device><deviceType>${DEVICE}</deviceType><UDN>uuid:1</UDN><serviceList><service><serviceType>${SERVICE}</serviceType><controlURL>${control}</controlURL><SCPDURL>/scpd</SCPDURL></service></serviceList></device></root>`)
      return
    }
    let body = ''
    request.on('data', (part) => { body += part }).on('end', () => {
      const action = /<u:(\w+)/.exec(body)?.[1] ?? ''
      seen.push([action, ...[...body.matchAll(/<New(\w+)>([^<]*)</g)].map(([, name, value]) => `${name}=${value}`)].join(' '))
      const answer = act?.(action, response)
      if (answer !== undefined) xml(response, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:${action}Response xmlns:u="${SERVICE}">${answer}</u:${action}Response></s:Body></s:Envelope>`)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const at = location ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}/description.xml`
  const socket = await udp(t, 1900, GROUP)
  socket.addMembership(GROUP, '127.0.0.1')
  const answers = await udp(t, 0, '127.0.0.1')
  socket.on('message', (request, { address, port }) => {
    if (request.toString().startsWith('M-SEARCH')) answers.send(`HTTP/1.1 200 OK\r\nST: ${DEVICE}\r\nUSN: uuid:1::${DEVICE}\r\nLOCATION: ${at}\r\n\r\n`, port, address)
  })
  return seen
}

export const goodActions = (host: string, port = 6000) => (action: string): string =>
  action === 'GetExternalIPAddress' ? `<NewExternalIPAddress>${host}</NewExternalIPAddress>` : action === 'AddAnyPortMapping' ? `<NewReservedPort>${port}</NewReservedPort>` : ''
