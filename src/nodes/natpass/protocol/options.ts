/** Options of both sides of natpass. */
import { secretOption } from '../../common/options/groups.ts'
import { LINK_TYPES, SERVER, type LinkType } from './message-types.ts'
import { text } from '../../common/options/checks.ts'
import { listOf } from '../../../text/phrases.ts'

/** The default of the original programs, which everybody knows (natpass protocol, section 5). */
export const DEFAULT_SECRET = '0123456789'

/** That of the original server. */
export const DEFAULT_PORT = 6154

export const secret = {
  ...secretOption({ noun: 'secret', variable: 'TUNPIPE_SECRET', knownToAll: DEFAULT_SECRET, help: 'who knows it may connect' }),
  isRequired: true
} as const

/** What TYPES may be, in messages. */
export const EXPECTED_TYPES = `TYPES are ${listOf(LINK_TYPES)}, with commas between, or any`

/** `shell,tcp`, or `any`. Undefined for other text. */
export function linkTypes (words: string): readonly LinkType[] | undefined {
  const types = words === 'any' ? LINK_TYPES : words.split(',')
  return types.every((word): word is LinkType => (LINK_TYPES as readonly string[]).includes(word)) ? types : undefined
}

/** The id of a client: not empty, not `server`, which means the relay, and not `any`, which means all in rules. */
export const isClientId = (id: string): boolean => /^[\w.@-]{1,64}$/.test(id) && ![SERVER, 'any'].includes(id)

export function clientId () {
  return text('an id', 'at most 64 letters, digits, ".", "_", "@" or "-", but not server or any', (id) => isClientId(id) ? id : undefined)
}
