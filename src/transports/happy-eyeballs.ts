/**
 * Connects to a host that may have several addresses, as in RFC 8305; each attempt keeps its whole time-out. All dials use it. Node's
 * `autoSelectFamily` ends an attempt after 250 ms, so a slow path beside a dead address would never connect; without it Node tries only the
 * first address.
 */
import { ADDRCONFIG } from 'node:dns'
import { lookup as dnsLookup } from 'node:dns/promises'
import { isIP, type Socket } from 'node:net'
import { constants, networkInterfaces } from 'node:os'
import { opened, type TimeLimit } from './connecting.ts'
import { LinkClosedError } from '../errors.ts'
import { systemClock } from '../streams/clock.ts'
import type { Clock, Endpoint, Timer } from '../types.ts'

/** Milliseconds after which the next address is tried as well (RFC 8305, section 5). */
const ATTEMPT_DELAY = 250

/** Maximum number of addresses that are tried, as a name server may return any number. Both families are among the first ones. */
const MAX_ADDRESSES = 16

/** Errors of a missing route on this machine: less telling than an answer of another address. */
const NO_ROUTE: readonly unknown[] = ['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT']

/** An address that a look-up has found. */
export interface ResolvedAddress {
  address: string
  /** 4 or 6. */
  family: number
}

/** Resolves a name to addresses, the best first. */
export type Lookup = (name: string) => Promise<readonly ResolvedAddress[]>

export interface RaceInit<S extends Socket> {
  to: Endpoint
  /** Starts to connect to an address; the event `connect` decides the race. */
  open (address: Endpoint): S
  signal?: AbortSignal
  /** For the look-up, and for each attempt from its start. Default: that of the system. */
  limit?: TimeLimit
  /** Default: that of the system. */
  lookup?: Lookup
  /** Milliseconds. Default: 250. */
  attemptDelay?: number
  /** Default: that of the system. */
  clock?: Clock
}

export interface RaceResult<S> {
  socket: S
  /** When the time-out of this address ends. */
  ends: number
}

export const systemLookup: Lookup = (name) => dnsLookup(name, { all: true, hints: process.platform === 'win32' ? 0 : ADDRCONFIG })

/**
 * Returns the first connection that is made; other attempts are ended.
 *
 * @throws the system error of the only address; for several an `AggregateError` with the `code` of one; or the reason of the signal
 */
export async function race<S extends Socket> (init: RaceInit<S>): Promise<RaceResult<S>> {
  const { to: { host, port }, signal, limit, lookup = systemLookup, attemptDelay = ATTEMPT_DELAY, clock = systemClock } = init
  signal?.throwIfAborted()
  const addresses = isIP(host) === 0 ? order(await inTime(lookup(host), clock, signal, limit)) : [host]
  if (addresses.length === 0) throw Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' })
  if (addresses.length === 1) return await attempt(init, addresses[0], signal)

  const over = new AbortController()
  const abort = (): void => { over.abort(signal?.reason) }
  signal?.addEventListener('abort', abort, { once: true })
  let timer: Timer | undefined
  try {
    return await new Promise((resolve, reject) => {
      const failures: Error[] = []
      let next = 0
      let isWon = false
      const begin = (): void => {
        clock.clear(timer)
        const index = next++
        attempt(init, addresses[index], over.signal).then((won) => {
          if (isWon || over.signal.aborted) won.socket.destroy() // two were made at the same time
          isWon = true
          resolve(won)
        }, (err) => {
          failures[index] = err
          if (over.signal.aborted) reject(over.signal.reason)
          else if (next < addresses.length) begin()
          else if (Object.keys(failures).length === addresses.length) reject(failureOf(`${host}:${port}`, failures))
        })
        if (next < addresses.length) timer = clock.set(attemptDelay, begin)
      }
      begin()
    })
  } finally {
    clock.clear(timer)
    signal?.removeEventListener('abort', abort)
    over.abort(new LinkClosedError('another address has answered first'))
  }
}

async function attempt<S extends Socket> ({ to: { port }, open, limit, clock = systemClock }: RaceInit<S>, host: string, signal?: AbortSignal): Promise<RaceResult<S>> {
  const ends = clock.now() + (limit?.milliseconds ?? Infinity)
  verifyZone(host, port)
  try {
    return { socket: await opened(open({ host, port }), 'connect', signal, limit), ends }
  } catch (err) {
    throw withoutLocal(err)
  }
}

/**
 * Newer Nodes would take any interface with a link-local address in place of one that does not exist.
 *
 * @throws {Error} EINVAL when the zone of an address (RFC 4007) is no interface
 */
function verifyZone (host: string, port: number): void {
  const [, zone] = host.split('%')
  if (zone === undefined || process.platform === 'win32' || zone in networkInterfaces()) return // zones of Windows are numbers
  throw Object.assign(new Error(`connect EINVAL ${host}:${port}`), { errno: -constants.errno.EINVAL, code: 'EINVAL', syscall: 'connect', address: host, port })
}

/** An error without the local end that Node adds to the text of a failed connect, and of which nothing is known at that time. */
function withoutLocal (err: unknown): unknown {
  const { syscall, code, address, port } = err as NodeJS.ErrnoException & { address?: string, port?: number }
  if (syscall !== 'connect' || address === undefined || port === undefined) return err
  return Object.assign(err as Error, { message: `connect ${code} ${address}:${port}` })
}

/** Alternates the families, beginning with that of the first address (RFC 8305, section 4). */
function order (found: readonly ResolvedAddress[]): string[] {
  const first = found.filter(({ family }) => family === found[0].family)
  const second = found.filter(({ family }) => family !== found[0].family)
  const all = Array.from({ length: Math.max(first.length, second.length) }, (_, i) => [first[i], second[i]]).flat()
  return [...new Set(all.flatMap((one) => one?.address ?? []))].slice(0, MAX_ADDRESSES)
}

/** Bounds the wait for a look-up, which cannot be cancelled. */
export function inTime<T> (found: Promise<T>, clock: Clock, signal?: AbortSignal, limit?: TimeLimit): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => { settle(() => { reject(signal?.reason) }) }
    const timer = limit === undefined ? undefined : clock.set(limit.milliseconds, () => { settle(() => { reject(limit.error()) }) })
    const settle = (how: () => void): void => {
      clock.clear(timer)
      signal?.removeEventListener('abort', aborted)
      how()
    }
    signal?.addEventListener('abort', aborted, { once: true })
    found.then((value) => { settle(() => { resolve(value) }) }, (err) => { settle(() => { reject(err) }) })
  })
}

/** The error when all attempts have failed: it lists each once, and has the most telling `code`. */
function failureOf (target: string, failures: readonly Error[]): Error {
  const texts = [...new Set(failures.map(({ message }) => message))]
  if (texts.length === 1) return failures[0]
  const codes = failures.map((err) => (err as NodeJS.ErrnoException).code)
  return Object.assign(new AggregateError(failures, `no address of ${target} can be reached: ${texts.join('; ')}`), { code: codes.find((code) => !NO_ROUTE.includes(code)) ?? codes[0] })
}
