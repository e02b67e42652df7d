/** An entry of the option `allow`: as text, TYPES or TYPES@ID, or as a section with keys. */
import { z } from 'zod'
import { EXPECTED_PORT_PATTERN, readPortPattern } from './port-patterns.ts'
import { clientId, EXPECTED_TYPES, isClientId, linkTypes } from '../protocol/options.ts'
import { LINK_TYPES, type LinkType } from '../protocol/message-types.ts'
import { joinedList, path, problemText, text } from '../../common/options/checks.ts'
import type { Reject } from '../../common/options/option.ts'
import { listOf } from '../../../text/phrases.ts'

/** What a client may open here. */
export interface Allowance {
  /** Undefined: any client. */
  readonly from?: string | undefined
  readonly types: readonly LinkType[]
  /** The programs that a shell may start, as its client names them; the first one is for those that name none. Undefined: any. */
  readonly exec?: readonly string[] | undefined
  /** `HOST:PORT` patterns of what tcp and udp may reach. Undefined: any port of this machine, by its loopback. */
  readonly ports?: readonly string[] | undefined
}

/** The same as callers give it. */
export type AllowanceInit = Omit<Allowance, 'types'> & { readonly types: string | readonly string[] }

export const EXPECTED_ALLOWANCE = `TYPES or TYPES@ID, such as shell,tcp or shell@laptop; ${EXPECTED_TYPES}`

const EXPECTED_LIST = `${listOf(LINK_TYPES)}, a list, or any`

const KEYS = ['from', 'types', 'exec', 'ports']

function types () {
  return z.custom<string | readonly string[]>(() => true).transform((input, context): readonly LinkType[] => {
    const words = joinedList(input)
    const read = typeof words === 'string' ? linkTypes(words) : undefined
    if (read !== undefined) return read
    context.issues.push({ code: 'custom', input, message: problemText('types of links', words, EXPECTED_LIST) })
    return z.NEVER
  })
}

function listOfTexts<T extends z.ZodType> (one: T, expected: string) {
  return z.array(one, { error: ({ input }) => problemText('a list', input, expected) }).min(1, { error: `empty, expected ${expected}` }).optional()
}

const section = z.strictObject({
  from: clientId().optional(),
  types: types(),
  exec: listOfTexts(path(), 'a list of programs'),
  ports: listOfTexts(text('a port', EXPECTED_PORT_PATTERN, (input) => readPortPattern(input) === undefined ? undefined : input), `a list of ${EXPECTED_PORT_PATTERN}`)
}, { error: `unknown key, expected ${listOf(KEYS)}` })

function readText (input: string): Allowance | undefined {
  const at = input.indexOf('@')
  const types = linkTypes(at < 0 ? input : input.slice(0, at))
  const from = at < 0 ? undefined : input.slice(at + 1)
  return types === undefined || (from !== undefined && !isClientId(from)) ? undefined : { from, types }
}

/** A check of one entry. */
export function allowance () {
  return z.custom<string | AllowanceInit>(() => true).transform((input, context): Allowance => {
    const isSection = typeof input === 'object' && input !== null && !Array.isArray(input)
    if (!isSection) {
      const read = typeof input === 'string' ? readText(input) : undefined
      if (read !== undefined) return read
      context.issues.push({ code: 'custom', input, message: problemText('what a client may open', input, EXPECTED_ALLOWANCE) })
      return z.NEVER
    }
    const result = section.safeParse(input)
    if (result.success) return result.data
    const [issue] = result.error.issues
    context.issues.push({ code: 'custom', input, message: issue.message, path: issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]] : issue.path })
    return z.NEVER
  })
}

/** Rejects keys that the types of an entry have no use for. */
export function verifyAllowances (allow: readonly Allowance[], reject: Reject): void {
  for (const [i, { types, exec, ports }] of allow.entries()) {
    if (exec !== undefined && !types.includes('shell')) reject(['allow', i, 'exec'], 'of no use without shell in types')
    if (ports !== undefined && !types.includes('tcp') && !types.includes('udp')) reject(['allow', i, 'ports'], 'of no use without tcp or udp in types')
  }
}
