/** The options of a candy peer, as data. */
import { RoutePolicy } from './route-policy.ts'
import { passwordOptions } from '../protocol/options.ts'
import { OptionError } from '../../../errors.ts'
import { readEndpoint, readHost } from '../../../net/endpoint.ts'
import { parseAddress, parseCidr } from '../../../net/ipv4.ts'
import type { Endpoint } from '../../../types.ts'
import { z } from 'zod'
import { dialUrl, hostAddress } from '../../common/options/addresses.ts'
import { boolean, milliseconds, onOff, text, ValueError, wholeNumber } from '../../common/options/checks.ts'
import { clientTrust } from '../../common/options/groups.ts'
import type { Options, Reject, SettingsOf } from '../../common/options/option.ts'

function routes () {
  const expected = 'private, all, none, or networks such as 10.1.0.0/16,10.2.0.0/16'
  return text('a choice of routes', expected, (input) => {
    if (input === '') return undefined
    try {
      return new RoutePolicy(input)
    } catch (err) {
      if (!(err instanceof OptionError)) throw err
      throw new ValueError(`${err.detail}, expected ${expected}`)
    }
  }, (value): value is RoutePolicy => value instanceof RoutePolicy)
}

/** The port of STUN (RFC 8489, section 18.6). */
export const STUN_PORT = 3478

/** Servers of STUN that are asked. */
const MAX_STUN_SERVERS = 4

const EXPECTED_STUN = 'HOST[:PORT], stun://HOST[:PORT], or none'

/** A server of STUN; undefined stands for `none`. */
function stunServer () {
  return text('a STUN server', EXPECTED_STUN, (input): Endpoint | 'none' | undefined => {
    if (input === 'none') return 'none'
    const plain = input.replace(/^stun:(?:\/\/)?/i, '')
    const host = readHost(plain)
    if (host !== undefined) return { host, port: STUN_PORT }
    const endpoint = readEndpoint(plain)
    return endpoint?.port === 0 ? undefined : endpoint
  }, (value): value is Endpoint => typeof value === 'object' && value !== null && typeof (value as Endpoint).host === 'string' && readEndpoint(`x:${(value as Endpoint).port}`) !== undefined)
}

/** An IPv4 address of this machine. */
function ipv4 () {
  return text('an IPv4 address', 'an IPv4 address of this machine such as 192.168.1.10', (input) => {
    const address = parseAddress(input)
    return address === undefined || address === 0 || address >>> 24 >= 224 ? undefined : input
  })
}

export const peerOptions = {
  /** The path selects the network on servers that have several. */
  url: { check: dialUrl(), isRequired: true, value: 'url', help: 'ws://HOST:PORT/ or wss://HOST:PORT/; some servers choose the network by the path' },
  ...passwordOptions,
  /** Address and network of the interface. */
  address: { check: hostAddress(), value: 'cidr', defaultText: 'the server gives one', help: 'address and network such as 10.77.0.2/24', docs: 'address and network, such as `10.77.0.2/24`; `--tun 10.77.0.2/24` means the same' },
  /**
   * Which routes pushed by the server are installed: `private` (to private networks), `all`, `none`, or those within
   * networks such as `10.1.0.0/16,10.2.0.0/16`, one of which may be `private`, or the first `all`. A route that overlaps a network used by
   * this machine is installed only within a network that is named here. Never installed: a route that contains the address of the
   * server, and any of 0.0.0.0/8, 127.0.0.0/8 and 224.0.0.0/4. The network of an address assigned by the server is checked in the
   * same way, but a private one is always accepted.
   */
  routes: {
    check: routes(),
    default: new RoutePolicy('private'),
    defaultText: 'private',
    value: 'which',
    help: 'routes of the server to take: private, all, none, or networks such as 10.1.0.0/16,10.2.0.0/16; what this machine uses itself only when it is named',
    docs: 'which routes of the server are taken: `private`, `all`, `none`, or networks such as `10.1.0.0/16,10.2.0.0/16`; of what the machine uses itself only networks that are named; see [below](#which-routes-a-peer-takes)'
  },
  direct: { check: boolean(), input: onOff(), default: true, value: 'on|off', help: 'look for direct paths to other members over UDP, past the server' },
  stun: {
    check: z.array(stunServer(), { error: `not a list, expected ${EXPECTED_STUN}` }).min(1, { error: `empty, expected ${EXPECTED_STUN}` }).max(MAX_STUN_SERVERS, { error: `too many, expected at most ${MAX_STUN_SERVERS}` }),
    isRepeatable: true,
    value: 'host:port',
    defaultText: `UDP port ${STUN_PORT} of the server's host`,
    help: 'server that tells which endpoint this peer has outside of its NAT, or none; can be repeated',
    docs: `server of STUN, which tells which endpoint this peer has outside of its NAT: \`HOST[:PORT]\` or \`stun://HOST[:PORT]\`, or \`none\`; can be repeated, ${MAX_STUN_SERVERS} times at most`
  },
  port: { check: wholeNumber(0, 65_535), default: 0, value: 'port', defaultText: 'any', help: 'UDP port for direct paths' },
  localhost: { check: ipv4(), value: 'ip', defaultText: 'those of its interfaces', help: 'address of this machine that members in the same network are told', docs: 'address of this machine that members in the same network are told; with one of the loopback, all members are on this machine, and the socket is bound to it' },
  discovery: { check: wholeNumber(0, 86_400), default: 0, value: 'seconds', defaultText: '0, not at all', help: 'how often to ask all members for direct paths, before there is traffic' },
  route: { check: wholeNumber(0, 1000), default: 0, value: 'cost', defaultText: '0, not at all', help: 'milliseconds that this peer adds when members send through it to each other, and the same for this one through others' },
  noPortMapping: { check: boolean(), default: false, help: 'ask no router for a port (UPnP, NAT-PMP)' },
  ...clientTrust(' for wss://'),
  /** An address to request first when the server assigns it, such as `10.77.0.2/24`. */
  remembered: { check: text('an address with a prefix', 'a.b.c.d/prefix', (input) => parseCidr(input) === undefined ? undefined : input) },
  /** 16 characters that identify this device. Default: random hexadecimal digits. */
  vmac: { check: text('a device', '16 printable characters', (input) => /^[\x21-\x7e]{16}$/.test(input) ? input : undefined) },
  /** Milliseconds between pings. The default suits servers that drop a client after 60 s without a frame. */
  pingInterval: { check: milliseconds(), default: 15_000 },
  /**
   * Milliseconds of silence after which the connection is lost, and from the start of the dial for the server to accept the peer; more than
   * `pingInterval`. Checked once a second, or ten times in this period when that is shorter.
   */
  deadAfter: { check: milliseconds(), default: 30_000 }
} as const satisfies Options

/** Relations between options. */
export function verifyPeerOptions ({ url, ca, insecure, stun, pingInterval, deadAfter }: SettingsOf<typeof peerOptions>, reject: Reject): void {
  const isSecure = /^wss:/i.test(url)
  if (!isSecure && ca !== undefined) reject(['ca'], 'of no use with a ws:// url, expected wss:// there')
  if (!isSecure && insecure) reject(['insecure'], 'of no use with a ws:// url, expected wss:// there')
  if (ca !== undefined && insecure) reject(['insecure'], 'contradicts ca, expected one of them')
  if (stun !== undefined && stun.length > 1 && stun.includes('none')) reject(['stun'], 'none beside servers, expected one of both')
  if (deadAfter <= pingInterval) reject(['deadAfter'], `${deadAfter} ms, expected more than pingInterval, ${pingInterval} ms`)
}
