/** Schemas of sections: keys and no others. Every error has the form `what is wrong, expected what is allowed`. */
import { z } from 'zod'
import { problemText } from '../../nodes/common/options/checks.ts'
import { EXPECTED_SECTIONS } from '../../nodes/common/options/groups.ts'
import { listOf } from '../../text/phrases.ts'
import { nearest } from '../nearest.ts'
import type { UnsupportedOptions } from './settings.ts'

/**
 * A section with these keys and no others.
 *
 * @param unsupported - keys that are rejected with their own error text
 */
export function section<const T extends z.core.$ZodLooseShape> (shape: T, unsupported: UnsupportedOptions = {}) {
  const known = Object.keys(shape)
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return problemText('a section', issue.input, `keys such as ${known.slice(0, 3).join(', ')}`)
      const key = String(issue.keys[0])
      if (Object.hasOwn(unsupported, key)) return unsupported[key]
      const near = nearest(key, known)
      return near === undefined ? `unknown key, expected ${listOf(known)}` : `unknown key, did you mean ${near}?`
    }
  })
}

/** A list of sections, in YAML each with a leading `-`. */
export function sections<T extends z.ZodType> (one: T) {
  return z.array(one, { error: ({ input }) => problemText('a list', input, EXPECTED_SECTIONS) })
    .min(1, { error: `empty, expected ${EXPECTED_SECTIONS}` })
}
