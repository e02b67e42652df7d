/**
 * Routing rules of a candy relay: which networks are behind which node; candy protocol, section 1.9.
 *
 * ```ts
 * const rules = parseRules('192.168.202.0/24,172.16.0.0/16,192.168.202.1;192.168.202.3/32,172.17.0.0/16,192.168.202.2')
 * const messages = encodeRoutes(routesFor(rules, client))
 * ```
 */
import { OptionError } from '../../../errors.ts'
import { inNetwork, parseAddress, parseCidr, type Cidr } from '../../../net/ipv4.ts'
import type { Route } from '../protocol/routes.ts'

/** The clients in network `device` send packets for `destination` to `nexthop`. */
export interface SdwanRule {
  device: Cidr
  destination: Cidr
  /** The virtual address of the node. */
  nexthop: number
}

/**
 * Parses `device,destination,nexthop`, joined by `;`. Both networks must have no host bits. A trailing `;` is allowed, further fields
 * are ignored, and blanks are not allowed. An empty text has no rules.
 *
 * @throws {OptionError} of the option `sdwan`; `detail` names the rule by its number, from 1
 */
export function parseRules (text: string): SdwanRule[] {
  const rules = text.split(';')
  if (rules.at(-1) === '') rules.pop()
  return rules.map((rule, i) => parseRule(rule, i + 1))
}

const refused = (detail: string): OptionError => new OptionError(`sdwan ${detail}`, { option: 'sdwan', detail })

function parseRule (rule: string, number: number): SdwanRule {
  const [device, destination, address] = rule.split(',')
  if (address === undefined) throw refused(`rule ${number} is not device,destination,nexthop`)
  const nexthop = parseAddress(address)
  if (nexthop === undefined) throw refused(`rule ${number}: the next hop is not an IPv4 address`)
  return {
    device: parseNetwork(device, `rule ${number}: the device network`),
    destination: parseNetwork(destination, `rule ${number}: the destination network`),
    nexthop
  }
}

function parseNetwork (text: string, what: string): Cidr {
  const cidr = parseCidr(text)
  if (cidr === undefined) throw refused(`${what} is not a.b.c.d/prefix`)
  if (cidr.address !== cidr.network) throw refused(`${what} has host bits`)
  return cidr
}

/** The routes for a client, in the order of the rules: the first match applies. */
export function routesFor (rules: readonly SdwanRule[], client: number): Route[] {
  return rules
    .filter(({ device }) => inNetwork(client, device))
    .map(({ destination, nexthop }) => ({ destination, nexthop }))
}

/**
 * The networks behind this node, whose addresses it may use as sources; undefined when there are none. Computed once for each
 * connection; {@link ownsSource} checks it for each packet.
 */
export function allowedSources (rules: readonly SdwanRule[], sender: number): readonly Cidr[] | undefined {
  const sources = rules.filter(({ nexthop }) => nexthop === sender).map(({ destination }) => destination)
  return sources.length > 0 ? sources : undefined
}

/** Whether one of these routes leads to this address through this next hop. */
export function leadsTo (routes: readonly Route[], destination: number, nexthop: number): boolean {
  for (const route of routes) if (route.nexthop === nexthop && inNetwork(destination, route.destination)) return true
  return false
}

/** Whether a source is in one of these networks; candy protocol, section 1.8. */
export function ownsSource (sources: readonly Cidr[] | undefined, source: number): boolean {
  if (sources === undefined) return false
  for (const network of sources) if (inNetwork(source, network)) return true
  return false
}
