/** The options of the commands of `peer showchain` that run once. */
import { path, boolean, wholeNumber } from '../../nodes/common/options/checks.ts'
import type { Options } from '../../nodes/common/options/option.ts'
import { bootstrap, port } from './options.ts'

/** Bits of a modulus, whole bytes of it. */
const bits = () => wholeNumber(2048, 4096).refine((bits) => bits % 8 === 0, { error: 'not a multiple of 8, expected one such as 3072' })

export const keygenOptions = {
  out: { check: path(), isRequired: true, value: 'file', help: 'the new file, which its owner alone can read' },
  bits: { check: bits(), default: 3072, value: 'count', help: '2048 to 4096, a multiple of 8' },
  overwrite: { check: boolean(), default: false, help: 'replace a file that is there: the key in it is lost' },
  json: { check: boolean(), default: false, help: 'print JSON' }
} as const satisfies Options

export const idOptions = {
  identity: { check: path(), isRequired: true, value: 'file', help: 'a key of `peer showchain keygen`' },
  json: keygenOptions.json
} as const satisfies Options

export const natOptions = {
  bootstrap: { ...bootstrap, help: 'a relay to ask; two that know each other tell the kind' },
  identity: { check: path(), value: 'file', defaultText: 'a key for this once', help: 'the key to ask with' },
  port,
  json: { check: boolean(), default: false, help: 'print JSON' }
} as const satisfies Options
