/** The greeting: the payload of a peer's pings, which identifies its software (candy protocol, section 1.5). */
import { StringDecoder } from 'node:string_decoder'
import { version } from '../../../version.ts'

/** Prefix of every greeting, and of no other ping. */
export const GREETED = 'candy::'

/** Prefix of the version in a greeting of tunpipe. */
export const OWN_VERSION = 'tunpipe-'

/** Bytes of the host name in the greeting. */
const MAX_HOST_NAME = 63

/** Names of operating systems in the protocol. */
const SYSTEMS: Partial<Record<NodeJS.Platform, string>> = { linux: 'linux', android: 'android', darwin: 'macos', win32: 'windows' }

export interface Greeting {
  /** `os::version::host`, unescaped. */
  client: string
  /** Empty when the greeting has none. */
  version: string
}

/** Parses a ping; undefined when it is not a greeting. */
export function readGreeting (ping: Uint8Array): Greeting | undefined {
  const text = Buffer.from(ping.buffer, ping.byteOffset, ping.length).toString()
  if (!text.startsWith(GREETED)) return undefined
  const client = text.slice(GREETED.length)
  return { client, version: client.split('::')[1] ?? '' }
}

/** Servers answer only pings of this form, and show its parts. */
export function greeting (name: string): string {
  const os = SYSTEMS[process.platform] ?? 'unknown'
  const host = new StringDecoder('utf8').write(Buffer.from(name).subarray(0, MAX_HOST_NAME)) // drops an incomplete last character
  return `${GREETED}${os}::${OWN_VERSION}${version}::${host.replaceAll(':', '-')}`
}
