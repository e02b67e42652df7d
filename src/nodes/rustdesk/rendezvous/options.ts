/** The options of a rendezvous server, as data. */
import { z } from 'zod'
import { readAllowedPeer } from './allowed-peers.ts'
import { lanMask } from './lan-mask.ts'
import { relayEndpoint } from './relay-servers.ts'
import { localAddress } from '../../common/options/addresses.ts'
import { boolean, commaList, milliseconds, text, wholeNumber } from '../../common/options/checks.ts'
import { connectionLimits, MAX_ENTRIES, trustedProxies } from '../../common/options/groups.ts'
import type { Options } from '../../common/options/option.ts'

const EXPECTED_SERVERS = 'hosts, with a port or without, such as relay.example:21117,192.0.2.7'

const serverList = () => commaList('a list of servers', EXPECTED_SERVERS, (item) => relayEndpoint(item) === undefined ? undefined : item)

function network () {
  return text('a network', 'one of IPv4 such as 192.168.0.0/16', (input) => {
    try {
      lanMask(input)
      return input
    } catch {
      return undefined
    }
  })
}

/** Where it listens. It has four ports: P for UDP and TCP, P - 1 for TCP, P + 2 for WebSocket. */
export const listenOptions = {
  /** P; 0 takes free ones, which clients do not find. */
  port: { check: wholeNumber(0, 65_533), default: 21_116, value: 'port', help: 'of the rendezvous server; the one before it and the second after it are used as well' },
  /** The address of all its ports. Default: all addresses. */
  bind: { check: localAddress(), value: 'address', defaultText: 'all', help: 'the address of this machine to listen on' },
  /** Bytes of the receive buffer of UDP in the kernel, as far as that allows them; 0: the default of UDP sockets, 7 MiB. */
  rmem: { check: wholeNumber(0, 1 << 30), default: 0, short: 'M', value: 'bytes', defaultText: '7 MiB', help: 'of the receive buffer of UDP in the kernel, as far as net.core.rmem_max allows; 0 is the default' },
  /** Proxies whose report of the client address is trusted, CIDRs or addresses. Default: everybody may report one. */
  trustedProxies: trustedProxies('X-Real-IP or X-Forwarded-For of WebSocket')
} as const satisfies Options

/** What stays as it was at the start. */
export const lastingOptions = {
  /** Milliseconds without a message until a connection is ended. */
  idleTimeout: { check: milliseconds(), default: 30_000 }
} as const satisfies Options

export const rendezvousOptions = {
  /** Relays that peers are told, in turn. Empty: the port after P of the same host. */
  relayServers: { check: serverList(), value: 'hosts', defaultText: 'the port after that of this server', help: 'relays that peers are told, in turn' },
  /** Peers meet at a relay, unless they are behind one address. */
  alwaysUseRelay: { check: boolean(), default: false, help: 'peers meet at a relay, unless they are behind one address' },
  /** The network of this machine: others than its members reach its peers by a relay. */
  mask: { check: network(), value: 'cidr', defaultText: 'none', help: 'the network of this machine; its members reach each other directly, and the relay by its private address' },
  /** The private address of the relay, for members of that network. */
  localIp: { check: localAddress(), value: 'address', defaultText: 'one of this machine in that network', help: 'the private address of the relay, for members of that network' },
  /** The number of the list of servers: clients with a lower one get the list. */
  serial: { check: wholeNumber(0, 0x7fffffff), default: 0, value: 'number', help: 'the number of the list of rendezvous servers' },
  /** That list. */
  rendezvousServers: { check: serverList(), value: 'hosts', defaultText: 'none', help: 'rendezvous servers that clients get, when they know a list with a lower number' },
  /** Where clients get another version, which is the end of it, behind a "-". */
  softwareUrl: { check: text('a URL', 'a URL that ends with - and a version', (input) => input), value: 'url', defaultText: 'none', help: 'where clients get another version, which is in the end of the URL, behind a "-"' },
  /** Ids and public keys, in base64, of the peers that may register. Default: all may. */
  allow: { check: z.array(text('whom to allow', 'an id or a key in base64', readAllowedPeer)) },
  /** Leaves out what the original servers do not have. */
  strictOss: { check: boolean(), default: false, help: 'leave out what the original servers do not have' },
  /** Peers in memory; those that are offline make room. */
  maxPeers: { check: wholeNumber(1, 10_000_000), default: 1_000_000, value: 'count', help: 'peers in memory; those that are offline make room' },
  /** Those of one address. */
  maxPeersPerAddress: { check: wholeNumber(1, MAX_ENTRIES), default: 8192, value: 'count', help: 'peers of one address; an IPv6 /64 is one' },
  ...connectionLimits({ maxPerSource: 1024, source: 'connections from one address; an IPv6 /64 is one', halfOpen: 'connections without a message', all: 'connections in all' }),
  ...lastingOptions
} as const satisfies Options
