/** The console of the operator: one command, and its answer as text, in the words of the original (RustDesk protocol, section 4.8). */
import { isIP } from 'node:net'
import type { BlockedAddress } from './ip-blocker.ts'
import type { RendezvousState } from './state.ts'
import { printable } from '../../../text/printable.ts'

/** Lines of one answer, where the command has none. */
const PAGE = 10
const LONGEST_PAGE = 10_000

/** A larger number is an id. */
const LARGEST_OFFSET = 10_000_000

/** What a number is at most. */
const INT32_MAX = 0x7fffffff

const HELP = [
  'relay-servers(rs) <separated by ,>',
  'reload-geo(rg)',
  'ip-blocker(ib) [<ip>|<number>] [-]',
  'ip-changes(ic) [<id>|<number>] [-]',
  'punch-requests(pr) [<number>] [-]',
  'always-use-relay(aur)',
  'test-geo(tg) <ip1> <ip2>'
]

/** The parts of the server that commands show and change. */
export type ConsoleState = Pick<RendezvousState, 'settings' | 'clock' | 'blocker' | 'changes' | 'punches' | 'relays'>

type Command = (state: ConsoleState, ...words: string[]) => string

const COMMANDS: Readonly<Record<string, Command>> = {
  h: () => lines(HELP),
  'relay-servers': ({ relays }, list) => {
    if (list === undefined) return lines(relays.live)
    relays.configure(list.split(','))
    return ''
  },
  'ip-blocker': ({ blocker, clock }, word, minus) => {
    const now = clock.now()
    blocker.prune(now)
    const offset = offsetOf(word, INT32_MAX)
    const shown = offset === undefined ? one(blocker.get(word, now), blockedText) : lines(page(blocker.addresses(), offset).map((ip) => `${ip}: ${blockedText(blocker.get(ip, now) as BlockedAddress)}`))
    const text = `${blocker.size}\n${shown}`
    if (offset === undefined && minus === '-') blocker.delete(word)
    return text
  },
  'ip-changes': ({ changes, clock }, word, minus) => {
    const now = clock.now()
    changes.prune(now)
    const offset = offsetOf(word, LARGEST_OFFSET)
    const textOf = ({ age, addresses }: { age: number, addresses: ReadonlyMap<string, number> }): string => `${age}s ${countsText(addresses)}`
    const shown = offset === undefined ? one(changes.get(word, now), textOf) : lines(page(changes.ids(), offset).map((id) => `${printable(id)}: ${textOf(changes.get(id, now) as { age: number, addresses: ReadonlyMap<string, number> })}`))
    const text = `${changes.size}\n${shown}`
    if (offset === undefined && minus === '-') changes.delete(word)
    return text
  },
  'punch-requests': ({ punches }, word, size) => {
    if (word === '-') {
      punches.clear()
      return ''
    }
    const count = Math.min(numberOf(size) ?? PAGE, LONGEST_PAGE)
    const entries = punches.page(numberOf(word) ?? 0, count === 0 ? PAGE : count)
    return lines(entries.map(({ date, from, id, to }) => `${new Date(date).toISOString().replace(/\.\d+/, '')} ${from} -> ${printable(id)}@${to}`))
  },
  'always-use-relay': ({ settings }, word) => { // leaves the list of relays alone
    if (word === undefined) return `ALWAYS_USE_RELAY: ${settings.alwaysUseRelay}\n`
    settings.alwaysUseRelay = word.toUpperCase() === 'Y'
    return ''
  },
  'test-geo': ({ relays }, first, second = first) => isIP(first ?? '') === 0 || isIP(second) === 0 ? '' : JSON.stringify(relays.next())
}

const ALIASES: Readonly<Record<string, string>> = {
  rs: 'relay-servers', ib: 'ip-blocker', ic: 'ip-changes', pr: 'punch-requests', aur: 'always-use-relay', tg: 'test-geo'
}

/** Runs a command, and returns its answer; empty for what is none. */
export function runCommand (state: ConsoleState, text: string): string {
  const [word, ...words] = text.trim().split(' ')
  const name = Object.hasOwn(ALIASES, word) ? ALIASES[word] : word
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name](state, ...words) : ''
}

const lines = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('')

const one = <T>(value: T | undefined, textOf: (value: T) => string): string => value === undefined ? '' : `${textOf(value)}\n`

const blockedText = ({ calls, callAge, ids, idAge }: BlockedAddress): string => `${calls}/${callAge}s ${ids}/${idAge}s`

const countsText = (counts: ReadonlyMap<string, number>): string => `{${Array.from(counts, ([key, count]) => `${JSON.stringify(key)}: ${count}`).join(', ')}}`

/** A whole number; undefined for anything else. */
const numberOf = (word: string | undefined): number | undefined => /^\+?\d{1,10}$/.test(word ?? '') && Number(word) <= INT32_MAX ? Number(word) : undefined

/** Where a list begins; undefined: the word is a key. */
function offsetOf (word: string | undefined, largest: number): number | undefined {
  const number = word === undefined ? 0 : numberOf(word)
  return number === undefined || number > largest ? undefined : number
}

function page (keys: Iterable<string>, offset: number): string[] {
  const found: string[] = []
  let at = 0
  for (const key of keys) {
    if (at++ >= offset && found.push(key) === PAGE) break
  }
  return found
}
