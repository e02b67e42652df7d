/** What a peer tells a server about itself: the payload of its pings (candy protocol, section 1.5). */
import { StringDecoder } from 'node:string_decoder'
import { version } from '../../../version.ts'

/** How every greeting begins, and no other ping. */
export const GREETED = 'candy::'

/** How a version of ours begins in a greeting. */
export const OWN_VERSION = 'tunpipe-'

/** Bytes of the host name in the greeting. */
const MAX_HOST_NAME = 63

/** What the protocol calls the systems that it knows. */
const SYSTEMS: Partial<Record<NodeJS.Platform, string>> = { linux: 'linux', android: 'android', darwin: 'macos', win32: 'windows' }

export interface Greeting {
  /** `os::version::host`; any text. */
  client: string
  /** Empty when it has none. */
  version: string
}

/** What a ping says of its client; undefined for a mere sign of life. */
export function readGreeting (ping: Uint8Array): Greeting | undefined {
  const text = Buffer.from(ping.buffer, ping.byteOffset, ping.length).toString()
  if (!text.startsWith(GREETED)) return undefined
  const client = text.slice(GREETED.length)
  return { client, version: client.split('::')[1] ?? '' }
}

/** Servers answer pings of this form only, and show its parts. */
export function greeting (name: string): string {
  const os = SYSTEMS[process.platform] ?? 'unknown'
  const host = new StringDecoder('utf8').write(Buffer.from(name).subarray(0, MAX_HOST_NAME)) // leaves out a character that was cut
  return `${GREETED}${os}::${OWN_VERSION}${version}::${host.replaceAll(':', '-')}`
}
