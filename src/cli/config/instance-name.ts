/** The option that tells peers on one machine apart. */
import { text } from '../../nodes/common/options/checks.ts'
import type { Option } from '../../nodes/common/options/option.ts'

/** It is part of a file name. */
export const instanceName = {
  check: text('a name', 'at most 32 letters, digits, ".", "_" or "-", a letter or digit first', (name) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(name) ? name : undefined),
  value: 'name',
  help: 'tells peers on one machine apart, for `peer status --name NAME`'
} as const satisfies Option
