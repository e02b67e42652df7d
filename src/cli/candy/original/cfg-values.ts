/**
 * Converts values of a `candy.cfg` to the form of our options. The original reads numbers as C does (`stoi`, `inet_aton`): leading blanks and
 * a sign are allowed, and text after a blank is ignored. Text that it accepts only by accident (`0x10` is 0, `010.0.0.1` is 8.0.0.1, an
 * address without a prefix gets its first digits as one) is not converted, and our options reject it.
 */

const DEFAULT_PORTS: Readonly<Record<string, number>> = { ws: 80, wss: 443 }

/** The original ignores user, path, query and fragment of its listen URL, and defaults to port 80 or 443. A user is kept, to be rejected. */
export function listenedAt (url: string): string {
  const [, scheme, host, port] = /^(wss?):\/\/(\[[^\]]*\]|[^/?#:[\]@]+)(?::(\d*))?(?:[/?#].*)?$/is.exec(url) ?? []
  if (host === undefined) return url
  return `${scheme.toLowerCase()}://${host}:${port === undefined || port === '' ? DEFAULT_PORTS[scheme.toLowerCase()] : port}`
}

/** The URL to connect to: the original sends only the path. */
export const dialledAt = (url: string): string => url.replace(/[?#].*$/s, '')

/** `1400`, `+1400`, `01400 # a comment`. */
export function wholeNumber (text: string): string {
  const digits = /^\s*\+?(\d{1,9})(?:\s.*)?$/s.exec(text)?.[1]
  return digits === undefined ? text : String(Number(digits))
}

/** A number that the original uses within bounds: `route = -5` is 0. */
export const within = (least: number, most: number) => (text: string): string => {
  const [, sign, digits] = /^\s*([+-]?)(\d{1,9})(?:\s.*)?$/s.exec(text) ?? []
  return digits === undefined ? text : String(Math.max(least, Math.min(most, Number(sign + digits))))
}

/** `10.77.0.2/24`, `10.77.0.2 / 24`, `10.77.0.2/024 # a comment`. */
export function withPrefix (text: string): string {
  const [, address, bits] = /^([\d.]+)(?:\s[^/]*)?\/\s*\+?0*(\d{1,2})(?:\s.*)?$/s.exec(text) ?? []
  return address === undefined ? text : `${address}/${bits}`
}

/** Rules as in `sdwan`: blanks behind an address, further fields, and semicolons at the end. */
export function rules (text: string): string {
  return text.replace(/(?<!;);+$/, '').split(';').map((rule) => {
    const [device, destination, nexthop] = rule.split(',')
    if (nexthop === undefined) return rule
    return [withPrefix(device), withPrefix(destination), nexthop.replace(/^([\d.]+)\s.*$/s, '$1')].join()
  }).join(';')
}
