/** PROXY headers as a proxy writes them. */
import { isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'
import { hex } from './bytes.ts'
import type { Endpoint } from '../../src/types.ts'

export const V2_SIGNATURE = hex('0d0a0d0a 000d0a51 5549540a')

const somewhere = (source: Endpoint): Endpoint => ({ host: isIPv6(source.host) ? '2001:db8::ffff' : '198.51.100.1', port: 443 })

/** A line of version 1. */
export function proxyV1 (source: Endpoint, destination = somewhere(source)): Buffer {
  const family = isIPv6(source.host) ? 'TCP6' : 'TCP4'
  return Buffer.from(`PROXY ${family} ${source.host} ${destination.host} ${source.port} ${destination.port}\r\n`)
}

/** A header of version 2 around any body. */
export function proxyV2Of (command: number, family: number, body: Uint8Array): Buffer {
  return Buffer.concat([V2_SIGNATURE, Buffer.of(command, family, body.length >> 8, body.length & 0xff), body])
}

/** A header of version 2 for TCP, with anything behind the addresses. */
export function proxyV2 (source: Endpoint, extensions: Uint8Array = Buffer.alloc(0)): Buffer {
  const destination = somewhere(source)
  const addresses = [source, destination].map(({ host }) => Buffer.from(ipaddr.parse(host).toByteArray()))
  const ports = [source, destination].map(({ port }) => Buffer.of(port >> 8, port & 0xff))
  return proxyV2Of(0x21, isIPv6(source.host) ? 0x21 : 0x11, Buffer.concat([...addresses, ...ports, extensions]))
}

/** What a proxy sends when it checks our health: it speaks for itself. */
export const proxyV2Local = (): Buffer => proxyV2Of(0x20, 0x00, Buffer.alloc(0))
