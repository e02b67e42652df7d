/** The options of a SHOW CHAIN peer, as data. */
import { z } from 'zod'
import { ID_BYTES } from '../protocol/field-table.ts'
import { parseId } from '../protocol/public-key.ts'
import { listenEndpoint, localAddress, serverEndpoint } from '../../common/options/addresses.ts'
import { boolean, given, text, wholeNumber } from '../../common/options/checks.ts'
import { MAX_ENTRIES, sectionsOf } from '../../common/options/groups.ts'
import type { Options } from '../../common/options/option.ts'
import { readRemote } from '../../../net/endpoint.ts'
import type { Endpoint } from '../../../types.ts'

/** Helpers of a node, more than it registers with at one time. */
const MAX_HELPERS = 16

/** A node to connect to. */
export interface Target {
  /** 32 bytes. */
  readonly id: Uint8Array
  /** Where it is, when that is known; else helpers tell. */
  readonly at?: Endpoint | undefined
}

export const EXPECTED_TARGET = 'an id of 64 hexadecimal digits, or ID@HOST:PORT'

const isTarget = (value: unknown): value is Target => (value as Partial<Target> | undefined)?.id instanceof Uint8Array && (value as Target).id.length === ID_BYTES

export function target () {
  return text('a node', EXPECTED_TARGET, (input): Target | undefined => {
    const [hex, place, ...more] = input.split('@')
    const id = parseId(hex)
    const at = place === undefined ? undefined : readRemote(place)
    return id === undefined || more.length > 0 || (place !== undefined && at === undefined) ? undefined : { id, at }
  }, isTarget)
}

/** Ids that may connect. */
export type Allowed = 'any' | readonly Uint8Array[]

/** A node, and where TCP connections are accepted that come out there. */
const connectOptions = {
  id: { check: target(), isRequired: true },
  listen: { check: listenEndpoint(), isRequired: true }
} as const satisfies Options

/** What can change while a peer runs. */
export const variableOptions = {
  /** The service here that TCP connections of other nodes lead to. Default: nothing is served. */
  to: { check: serverEndpoint() },
  /** Who may connect. Default: nobody. */
  allow: { check: given<Allowed>() },
  /** With `any`: nodes of one address that may be connected. */
  maxNodesPerSource: { check: wholeNumber(1, MAX_ENTRIES), default: 32 }
} as const satisfies Options

export const peerOptions = {
  ...variableOptions,
  /** Relays with which it registers. */
  bootstrap: { check: z.array(serverEndpoint()).min(1, { error: 'empty, expected HOST:PORT of a relay' }).max(MAX_HELPERS, { error: `too many, expected at most ${MAX_HELPERS}` }), isRequired: true },
  connect: sectionsOf(connectOptions),
  /** The local address and port of its UDP socket. */
  host: { check: localAddress(), default: '0.0.0.0' },
  port: { check: wholeNumber(0, 65_535), default: 0 },
  /** Other paths than those by proxies are looked for. */
  direct: { check: boolean(), default: true },
  pageSignatures: { check: boolean(), default: false }
} as const satisfies Options
