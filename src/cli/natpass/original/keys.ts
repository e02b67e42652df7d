/** The keys of files of the original, as data (natpass protocol, section 5). Rules are apart. */
import { readPort } from '../../../net/endpoint.ts'
import { booleanOf, countOf, durationOf, listenedAt, sizeOf } from './values.ts'

export interface Key<T> {
  /** Undefined for text that it does not take. */
  readonly read: (text: string) => T | undefined
  /** What a value is, in an error. */
  readonly what: string
  readonly expected: string
  /** What stands for a key that is not written. */
  readonly default: T | undefined
  /** Our key in its place. */
  readonly ours?: string
}

/** Keys by their names, with those of sections as `ssl.enabled`. */
export type Keys = Readonly<Record<string, Key<unknown>>>

/** Values by the names of keys. */
export type ValuesOf<K extends Keys> = { readonly [N in keyof K]: K[N] extends { readonly read: (text: string) => infer T, readonly default: infer D } ? Exclude<T, undefined> | Extract<D, undefined> : never }

const asIs = (text: string): string => text
/** To the original an empty text is none. */
const anyText = { read: asIs, what: 'text', expected: 'text' } as const
const flag = { read: booleanOf, what: 'a boolean', expected: 'true or false', default: false } as const
const duration = { what: 'a duration', expected: 'one such as 1s or 1m30s' } as const

/** The original client takes 5 s in place of a time-out that is none. */
const clientTimeout = (text: string): number | undefined => {
  const milliseconds = durationOf(text)
  return milliseconds !== undefined && milliseconds <= 0 ? 5000 : milliseconds
}

const serverTimeout = (text: string): number | undefined => {
  const milliseconds = durationOf(text)
  return milliseconds !== undefined && milliseconds > 0 ? milliseconds : undefined
}

const log = {
  'log.dir': { ...anyText, default: './logs' },
  'log.size': { read: sizeOf, what: 'a size', expected: 'one such as 50M or 50MiB', default: 52_428_800 },
  'log.rotate': { read: countOf, what: 'a number', expected: 'a whole number', default: 7 }
} as const satisfies Keys

/** The original has a default, which everybody knows: it has to be written. */
const secret = { ...anyText, default: undefined, ours: 'secret' } as const

/** Of the server. Times are in milliseconds, sizes in bytes. */
export const relayKeys = {
  listen: { read: listenedAt, what: 'a port', expected: 'a port such as 6154', default: '0.0.0.0:6154', ours: 'listen' },
  secret,
  'tls.key': { ...anyText, default: undefined, ours: 'tls-key' },
  'tls.crt': { ...anyText, default: undefined, ours: 'tls-cert' },
  'link.read_timeout': { ...duration, read: serverTimeout, default: 1000 },
  'link.write_timeout': { ...duration, read: serverTimeout, default: 1000 },
  ...log
} as const satisfies Keys

/** Of the client. */
export const peerKeys = {
  server: { ...anyText, default: '127.0.0.1:6154', ours: 'server' },
  secret,
  id: { ...anyText, default: 'unset', ours: 'id' },
  'ssl.enabled': { ...flag, ours: 'tls' },
  'ssl.insecure': { ...flag, ours: 'insecure' },
  'link.read_timeout': { ...duration, read: clientTimeout, default: 1000 },
  'link.write_timeout': { ...duration, read: clientTimeout, default: 1000 },
  'dashboard.enabled': { ...flag, default: true },
  'dashboard.listen': { ...anyText, default: undefined, ours: 'page' },
  'dashboard.port': { read: readPort, what: 'a port', expected: 'a port such as 8080', default: 8080 },
  codedir: { ...anyText, default: undefined, ours: 'codedir' },
  ...log
} as const satisfies Keys
