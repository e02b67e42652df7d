/** The options of a candy peer, as data. */
import { RoutePolicy } from './route-policy.ts'
import { passwordOptions } from '../protocol/options.ts'
import { OptionError } from '../../../errors.ts'
import { parseCidr } from '../../../net/ipv4.ts'
import { dialUrl, hostAddress } from '../../common/options/addresses.ts'
import { milliseconds, text, ValueError } from '../../common/options/checks.ts'
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
export function verifyPeerOptions ({ url, ca, insecure, pingInterval, deadAfter }: SettingsOf<typeof peerOptions>, reject: Reject): void {
  const isSecure = /^wss:/i.test(url)
  if (!isSecure && ca !== undefined) reject(['ca'], 'of no use with a ws:// url, expected wss:// there')
  if (!isSecure && insecure) reject(['insecure'], 'of no use with a ws:// url, expected wss:// there')
  if (ca !== undefined && insecure) reject(['insecure'], 'contradicts ca, expected one of them')
  if (deadAfter <= pingInterval) reject(['deadAfter'], `${deadAfter} ms, expected more than pingInterval, ${pingInterval} ms`)
}
