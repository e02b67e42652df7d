/** The options of a RustDesk relay, as data. */
import { isIP } from 'node:net'
import { MEGABIT } from './bandwidth.ts'
import { boolean, milliseconds, numeral, path, secretText, text, wholeNumber } from '../../common/options/checks.ts'
import { connectionLimits, MAX_ENTRIES, trustedProxies } from '../../common/options/groups.ts'
import type { Options } from '../../common/options/option.ts'
import { readHost } from '../../../net/endpoint.ts'

/** A positive number of at most 15 digits. */
function positive (what: string, expected: string, most: number) {
  return numeral(what, expected, (digits) => {
    const value = Number(digits)
    return /^\d{1,15}(?:\.\d{1,15})?$/.test(digits) && value > 0 && value <= most ? value : undefined
  }, (value): value is number => typeof value === 'number' && value > 0 && value <= most)
}

/** A speed in Mb/s, of 1024 x 1024 bits each. */
const speed = () => positive('a speed', 'Mb/s, a number above 0', Number.MAX_SAFE_INTEGER / MEGABIT)

const PORTS = [0, 65_535] as const

export const listenOptions = {
  /** Where both listeners listen; an IPv6 address without brackets. */
  host: { check: text('an address', 'an address of this machine', (host) => isIP(host) > 0 ? host : readHost(host)), default: '::' },
  /** Of TCP; 0 takes a free one. */
  port: { check: wholeNumber(...PORTS), default: 21_117 },
  /** Of WebSocket. Default: two more than that of TCP, or a free one where that is 0. */
  websocketPort: { check: wholeNumber(...PORTS) },
  /** Proxies whose report of the client address is trusted, CIDRs or addresses. */
  trustedProxies: trustedProxies('X-Real-IP or X-Forwarded-For of WebSocket, and the PROXY protocol')
} as const satisfies Options

/** Those that stay as they were at the start. */
export const lastingOptions = {
  /** Milliseconds for the first message of a connection. */
  requestTimeout: { check: milliseconds(), default: 30_000 },
  /** Milliseconds that a connection waits for the other one of its uuid. */
  pairTimeout: { check: milliseconds(), default: 30_000 },
  /** Milliseconds without data, either way, after which a pair ends. */
  idleTimeout: { check: milliseconds(), default: 30_000 },
  /** A file of addresses, one a line, whose pairs are slowed to `limitSpeed`. Read again when it changes. */
  blacklist: { check: path() },
  /** The same of addresses that are refused. */
  blocklist: { check: path() }
} as const satisfies Options

export const pairOptions = {
  /** What both ends of a pair have to know; empty: nothing. */
  key: { check: secretText(), default: '' },
  /** Mb/s of one pair, both directions together. */
  singleBandwidth: { check: speed(), default: 128, value: 'speed', help: 'Mb/s for one pair, both directions together' },
  /** Mb/s of all pairs. */
  totalBandwidth: { check: speed(), default: 1024, value: 'speed', help: 'Mb/s for all pairs together' },
  /** Mb/s of a pair that is slowed. */
  limitSpeed: { check: speed(), default: 32, value: 'speed', help: 'Mb/s for a pair of an address on the blacklist, or of one that has used too much' },
  /** The share of `singleBandwidth` that a pair may use over its life; beyond it, it is slowed. */
  downgradeThreshold: { check: positive('a share', 'a number above 0', 1000), default: 0.66, value: 'share', help: 'of the bandwidth of one pair that it may use over its life; then it is slowed' },
  /** Milliseconds that a pair has to last before that. */
  downgradeStartCheck: { check: milliseconds(), input: wholeNumber(1, 2_000_000).transform((seconds) => seconds * 1000), default: 1_800_000, defaultText: '1800', value: 'seconds', help: 'how long a pair has to last before that' },
  ...connectionLimits({ maxPerSource: 256, source: 'connections from one address; an IPv6 /64 is one', halfOpen: 'connections without a partner', all: 'connections in all' }),
  /** Connections that wait for a partner, from one address; an IPv6 /64 is one. */
  maxPendingPerSource: { check: wholeNumber(1, MAX_ENTRIES), default: 64, value: 'count', help: 'connections that wait for a partner, from one address' },
  /** The same in all; beyond it the one that has waited longest makes room. */
  maxPending: { check: wholeNumber(1, MAX_ENTRIES), default: 8192, value: 'count', help: 'connections that wait for a partner, in all; the oldest makes room' },
  /** Pairs with an end at one address, also an IPv6 /64; addresses of this machine have no bound. */
  maxPairsPerSource: { check: wholeNumber(1, MAX_ENTRIES), default: 256, value: 'count', help: 'pairs with an end at one address; an IPv6 /64 is one' },
  /** Leaves out what the original does not have: it passes no messages without content between TCP and WebSocket. */
  strictOss: { check: boolean(), default: false, help: 'pass no messages without content between TCP and WebSocket, as the original' },
  /** Bytes kept for all pairs. Beyond it those that stand still end. */
  bufferTotal: { check: wholeNumber(1, Number.MAX_SAFE_INTEGER), input: wholeNumber(1024 * 1024), default: 256 * 1024 * 1024, value: 'bytes', help: 'kept for all pairs while their ends do not read; beyond it pairs that stand still are ended' },
  ...lastingOptions
} as const satisfies Options
