/** Headers of HTTP in messages for code-server (natpass protocol, sections 4.2 and 4.3). */
import { validateHeaderName, validateHeaderValue } from 'node:http'

/** Values of one message, and bytes of all of them with their names: with the rest they fit into a frame. */
const MAX_VALUES = 256
const MAX_BYTES = 40 << 10

/** Of one connection, not of what passes over it (RFC 9110, section 7.6.1). */
const HOP_BY_HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer', 'transfer-encoding', 'upgrade'])

/** The field `header` of messages. */
export type HeaderMap = Record<string, { values?: string[] | null }>

/** By name in lower case. */
export type Headers = Record<string, string[]>

/**
 * Headers that are passed on, of a message or of a connection of Node.
 *
 * @param all - name and value in turn, as `rawHeaders`
 * @throws {RangeError} when there are too many, or they are too long
 */
export function passedHeaders (all: readonly string[]): Headers {
  const headers: Headers = Object.create(null)
  let bytes = 0
  if (all.length > MAX_VALUES * 2) throw new RangeError(`more than ${MAX_VALUES} headers`)
  for (let i = 0; i < all.length; i += 2) {
    const [name, value] = [all[i].toLowerCase(), all[i + 1]]
    bytes += name.length + Buffer.byteLength(value)
    if (bytes > MAX_BYTES) throw new RangeError(`headers of more than ${MAX_BYTES} bytes`)
    ;(headers[name] ??= []).push(value)
  }
  const named = (headers.connection ?? []).flatMap((value) => value.toLowerCase().split(',').map((name) => name.trim()))
  for (const name of [...HOP_BY_HOP, ...named]) delete headers[name]
  return headers
}

/** The field of a message. */
export const headerMap = (headers: Headers): HeaderMap => Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, { values }]))

/**
 * Headers of a message, checked.
 *
 * @throws {RangeError} as `passedHeaders`
 * @throws {TypeError} when a name or a value is none of HTTP
 */
export function headersOf (map: HeaderMap | null | undefined): Headers {
  const headers = passedHeaders(Object.entries(map ?? {}).flatMap(([name, { values }]) => (values ?? []).flatMap((value) => [name, value])))
  for (const [name, values] of Object.entries(headers)) {
    validateHeaderName(name)
    for (const value of values) validateHeaderValue(name, value)
  }
  return headers
}
