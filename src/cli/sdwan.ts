import { parseAddress, parseCidr } from '../tun/ipv4.ts'
import { show } from './fields.ts'
import { UsageError } from './usage-error.ts'

/** A network: its host bits are zero. candy compares them as they are written, so a stray bit would match nothing. */
function checkNetwork (name: string, value: string, rule: string): void {
  const cidr = parseCidr(value)
  if (cidr === undefined) throw new UsageError(`${rule}: ${name} is not a CIDR (${show(value)}), expected a.b.c.d/0 to /32`)
  if (cidr.address !== cidr.network) throw new UsageError(`${rule}: ${name} has host bits (${show(value)}), expected a network address`)
}

/**
 * Checks candy's rules `dev-cidr,dst-cidr,nexthop;...` and names the first one that is wrong. As with candy, a semicolon
 * may stand at the end and fields after the third are ignored.
 *
 * @returns the same text
 */
export function checkRules (rules: string): string {
  const parts = rules.split(';')
  if (parts.length > 1 && parts[parts.length - 1] === '') parts.pop()
  for (const [index, part] of parts.entries()) {
    const rule = `rule ${index + 1}`
    if (part === '') throw new UsageError(`${rule}: empty, expected dev-cidr,dst-cidr,nexthop`)
    if (/\s/.test(part)) throw new UsageError(`${rule}: contains a blank (${show(part)}), expected dev-cidr,dst-cidr,nexthop`)
    const [device, destination, nexthop] = part.split(',')
    if (nexthop === undefined) throw new UsageError(`${rule}: fewer than three fields (${show(part)}), expected dev-cidr,dst-cidr,nexthop`)
    checkNetwork('dev-cidr', device, rule)
    checkNetwork('dst-cidr', destination, rule)
    if (parseAddress(nexthop) === undefined) throw new UsageError(`${rule}: nexthop is not an address (${show(nexthop)}), expected a.b.c.d`)
  }
  return rules
}
