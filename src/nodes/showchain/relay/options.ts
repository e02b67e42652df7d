/** The options of a helper and proxy, as data. */
import { udpEndpoint } from '../../common/options/addresses.ts'
import { boolean, commaList, milliseconds, onOff, seconds, wholeNumber } from '../../common/options/checks.ts'
import { MAX_ENTRIES } from '../../common/options/groups.ts'
import type { Options } from '../../common/options/option.ts'
import { readRemote } from '../../../net/endpoint.ts'
import type { Endpoint } from '../../../types.ts'

/** Helpers with which a relay registers. */
const MAX_HELPERS = 16

const MIN_BYTE_RATE = 10_000

const EXPECTED_HELPER = 'HOST:PORT such as 192.0.2.7:7700'

const isEndpoint = (value: unknown): value is Endpoint => typeof (value as Partial<Endpoint> | null)?.host === 'string'

function helpers () {
  return commaList('a list of helpers', EXPECTED_HELPER, readRemote, isEndpoint).refine((list) => list.length <= MAX_HELPERS, { error: `too many, expected at most ${MAX_HELPERS}` })
}

/** What stays as it was at the start. */
export const lastingOptions = {
  listen: { check: udpEndpoint(), isRequired: true, value: 'url', help: 'udp://HOST:PORT, such as udp://0.0.0.0:7700' },
  /** Milliseconds by which the time stamp of a message may differ from the time here. */
  freshness: { check: milliseconds(1000, 600_000), input: seconds(1, 600), default: 30_000, defaultText: '30', value: 'seconds', help: 'by which the clocks of nodes may differ from that of this machine' }
} as const satisfies Options

export const relayOptions = {
  ...lastingOptions,
  bootstrap: { check: helpers(), default: [], defaultText: 'none', isRepeatable: true, value: 'host:port', help: 'another helper to register with, so that nodes can find out the kind of their NAT by both; can be repeated' },
  proxy: { check: boolean(), input: onOff(), default: true, value: 'on|off', help: 'carry the data of nodes that find no direct path' },
  pageSignatures: { check: boolean(), default: false, help: 'take data with signatures alone, also without a hash of it, and none with HMAC' },
  maxNodes: { check: wholeNumber(1, MAX_ENTRIES), default: 65_536, value: 'count', help: 'nodes that are registered' },
  maxNodesPerSource: { check: wholeNumber(1, MAX_ENTRIES), default: 1024, value: 'count', help: 'those of one address; an IPv6 /64 is one, and a /48 may have four times as much, also of sessions and requests' },
  maxSessions: { check: wholeNumber(1, MAX_ENTRIES), default: 4096, value: 'count', help: 'pairs of nodes whose data is carried' },
  maxSessionsPerNode: { check: wholeNumber(1, MAX_ENTRIES), default: 32, value: 'count', help: 'those that one node has asked for; nodes of one address have four times as many together' },
  byteRate: { check: wholeNumber(1, Number.MAX_SAFE_INTEGER), input: wholeNumber(MIN_BYTE_RATE), default: 32 << 20, value: 'bytes', help: 'a second that one node may send, in all its sessions and in each; nodes of one address four times as many together; what is more is lost' },
  requestRate: { check: wholeNumber(1), default: 256, value: 'count', help: 'signed requests a second of one address; twice as many at once' },
  answerRate: { check: wholeNumber(1), default: 32, value: 'count', help: 'requests a second of one address whose answers this relay signs: registrations, sessions; four times as many at once' },
  introductionRate: { check: wholeNumber(1), default: 64, value: 'count', help: 'introductions a second to one node; a quarter of them from one address' }
} as const satisfies Options
