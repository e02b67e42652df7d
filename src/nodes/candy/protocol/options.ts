/** Options of both sides of candy. */
import { boolean } from '../../common/options/checks.ts'
import { secretOption } from '../../common/options/groups.ts'
import type { Options } from '../../common/options/option.ts'

export const passwordOptions = {
  /** Shared by all members of a network. */
  password: {
    ...secretOption({ noun: 'password', variable: 'TUNPIPE_PASSWORD', emptyBy: 'allowEmptyPassword', help: 'the password of the network' }),
    isRequired: true
  },
  /** Without a password everyone can join. */
  allowEmptyPassword: { check: boolean(), default: false, help: 'let anyone in who finds the port', docs: 'without it, no password is an error' }
} as const satisfies Options
