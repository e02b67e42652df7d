/** The options of a RustDesk peer, as data. */
import { NACL_KEY_BYTES } from '../../../crypto/nacl/index.ts'
import { bytesOfText } from '../keys/key-text.ts'
import { listenEndpoint, serverEndpoint } from '../../common/options/addresses.ts'
import { boolean, given, numeral, text, wholeNumber } from '../../common/options/checks.ts'
import { sectionsOf } from '../../common/options/groups.ts'
import type { Options } from '../../common/options/option.ts'

/** Bytes of an id. The original servers take 6 at least, clients have 9 or 10 digits, or a name. */
const ID = /^[A-Za-z0-9][\w-]{5,63}$/

export const EXPECTED_ID = 'an id such as 123456789: 6 to 64 letters, digits, "_" or "-", a letter or digit first'

/** An id; digits may be in groups, as clients show them. */
export function readId (input: string): string | undefined {
  const plain = /^[\d ]+$/.test(input) ? input.replaceAll(' ', '') : input
  return ID.test(plain) ? plain : undefined
}

/** Files may have digits alone as a number. */
export const peerId = () => numeral('an id', EXPECTED_ID, readId)

/** Whom a peer lets in: by the id that the server has certified, or by the key. */
export type AllowedPeer = { readonly id: string } | { readonly publicKey: Uint8Array }

/** All whom it lets in. */
export type Allowed = 'any' | readonly AllowedPeer[]

export const EXPECTED_KEY = `a public key: ${NACL_KEY_BYTES} bytes in base64`

/** The public key of a server, or of a peer. */
export const readPublicKey = (input: string): Uint8Array | undefined => bytesOfText(input, NACL_KEY_BYTES)

export const publicKey = () => text('a key', EXPECTED_KEY, readPublicKey, (value): value is Uint8Array => value instanceof Uint8Array && value.length === NACL_KEY_BYTES)

/** A peer, and where TCP connections are accepted that come out there. */
const connectOptions = {
  id: { check: peerId(), isRequired: true },
  listen: { check: listenEndpoint(), isRequired: true }
} as const satisfies Options

/** What can change while a peer runs. */
export const variableOptions = {
  /** The service here that TCP connections of other peers lead to. Default: nothing is served. */
  to: { check: serverEndpoint() },
  /** Who may connect. Default: nobody. */
  allow: { check: given<Allowed>() },
  /** Sessions at one time. */
  maxPeers: { check: wholeNumber(1, 1024), default: 64 }
} as const satisfies Options

export const peerOptions = {
  ...variableOptions,
  /** The rendezvous server. */
  server: { check: serverEndpoint(), isRequired: true },
  /** What it signs with. */
  key: { check: publicKey(), isRequired: true },
  /** Of this peer; one that serves has to have one. */
  id: { check: peerId() },
  connect: sectionsOf(connectOptions),
  /** The relay to use in place of those that are told. */
  relay: { check: serverEndpoint() },
  /** Other paths than those by the relay are looked for. */
  direct: { check: boolean(), default: true }
} as const satisfies Options
