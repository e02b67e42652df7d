/** The options of candy in the programs: those of the nodes, and those of state and interface, which programs have. */
import { boolean, onOff, path, text, ValueError, wholeNumber } from '../../nodes/common/options/checks.ts'
import type { Options, SettingsOf } from '../../nodes/common/options/option.ts'
import { peerOptions as nodePeerOptions } from '../../nodes/candy/peer/options.ts'
import { relayOptions as nodeRelayOptions } from '../../nodes/candy/relay/options.ts'
import { stunOptions } from '../../nodes/stun/options.ts'
import { RESERVED_NAMES } from '../../tun/ifreq.ts'
import { instanceName } from '../config/instance-name.ts'

export const relayOptions = {
  ...nodeRelayOptions,
  stunListen: { check: stunOptions.listen.check, value: '[host:]port', defaultText: 'off', help: 'answer STUN on UDP PORT and PORT+1, for clients with direct traffic', docs: 'answer STUN requests on UDP `PORT` and `PORT`+1, see [STUN](#stun); without a host on all addresses of IPv4' },
  stunSecond: { check: stunOptions.second.check, value: 'host', defaultText: 'none', help: 'a second address for STUN, so that clients find out how their NAT behaves', docs: 'a second address of this machine for STUN, so that clients can find out how their NAT behaves' },
  stateDir: { check: path(), value: 'dir', defaultText: '/var/lib/tunpipe for root', help: 'remembers which device has which address', docs: 'where leases are kept, see [State](#state)' }
} as const satisfies Options

export type CandyRelaySettings = SettingsOf<typeof relayOptions>

/** Existing clients accept messages of at most 1500 bytes: a packet of 1450 fits into a plain message, one of 1430 also with a pushed route. */
const MAX_MTU = 1450
const MIN_MTU = 576

/** A valid name of a Linux interface, or `none`. */
function interfaceName () {
  const expected = 'at most 15 letters, digits, ".", "_" or "-", or none, or an address such as 10.77.0.2/24'
  return text('an interface name', expected, (name) => {
    if (RESERVED_NAMES.includes(name)) throw new ValueError(`Linux lets no interface be called ${name}, expected another name: ${expected}`)
    return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,14}$/.test(name) ? name : undefined
  })
}

const { url, password, allowEmptyPassword, address, routes, direct, stun, port, localhost, discovery, route, noPortMapping, ca, insecure, ...others } = nodePeerOptions

export const peerOptions = {
  url,
  password,
  allowEmptyPassword,
  address,
  tun: { check: interfaceName(), value: 'name', defaultText: 'candy, or candy-NAME, shortened by a hash when that is too long', help: 'name of the interface, or none for no interface', docs: 'name of the interface, but not `all` or `default`, which Linux keeps for itself; `none`: no interface, and no root. With `--name` a name of more than 15 characters, as for `office-berlin`, becomes `candy-off-` and five characters that stand for the whole name' },
  name: { ...instanceName, help: 'tells peers on one machine apart: each has its own state and interface' },
  mtu: { check: wholeNumber(MIN_MTU, MAX_MTU), default: 1400, value: 'bytes', help: `of the interface, ${MIN_MTU} to ${MAX_MTU}`, docs: `of the interface, ${MIN_MTU} to ${MAX_MTU}; at most 1430 with routes` },
  offload: { check: boolean(), input: onOff(), default: true, value: 'on|off', help: 'let the system hand over, and take, many packets at once', docs: 'the system hands over, and takes, many packets of one stream at once, see [Performance](performance.md); the ready line says which kinds are in force' },
  routes,
  direct,
  stun,
  port,
  localhost,
  discovery,
  route,
  noPortMapping,
  ca,
  insecure,
  stateDir: { check: path(), value: 'dir', defaultText: '/var/lib/tunpipe for root', help: 'remembers device and address', docs: 'where device and address are remembered, see [State](#state)' },
  ...others
} as const satisfies Options

export type CandyPeerSettings = SettingsOf<typeof peerOptions>
