/** `peer showchain keygen` and `peer showchain id`: the identity of a node. */
import { path, boolean, wholeNumber } from '../../nodes/common/options/checks.ts'
import type { Options } from '../../nodes/common/options/option.ts'
import type { ProtocolTask } from '../protocol.ts'

/** Bits of a modulus, whole bytes of it. */
const bits = () => wholeNumber(2048, 4096).refine((bits) => bits % 8 === 0, { error: 'not a multiple of 8, expected one such as 3072' })

export const keygenOptions = {
  out: { check: path(), isRequired: true, value: 'file', help: 'the new file, which its owner alone can read' },
  bits: { check: bits(), default: 3072, value: 'count', help: '2048 to 4096, a multiple of 8' },
  overwrite: { check: boolean(), default: false, help: 'replace a file that is there: the key in it is lost' },
  json: { check: boolean(), default: false, help: 'print JSON' }
} as const satisfies Options

export const keygenTask: ProtocolTask = {
  name: 'keygen',
  description: 'Makes an RSA key and prints its id.',
  examples: `
Examples:
  peer showchain keygen --out laptop.pem
  peer showchain keygen --out relay.pem --bits 4096

Relay and peers alike have such a key. The id is what others know a node by: it is derived from the key, and no secret.
Exit codes: 0 made, 1 failure, 2 bad usage or a file that is there.`,
  options: keygenOptions,
  async run ({ flags }) {
    const { runKeygen } = await import('./run-key-tasks.ts')
    await runKeygen(flags, keygenOptions)
  }
}

export const idOptions = {
  identity: { check: path(), isRequired: true, value: 'file', help: 'a key of `peer showchain keygen`' },
  json: keygenOptions.json
} as const satisfies Options

export const idTask: ProtocolTask = {
  name: 'id',
  description: 'Prints the id of a key.',
  examples: `
Examples:
  peer showchain id --identity laptop.pem
  peer showchain id --identity laptop.pem >> friends.ids
      a line for a file of --allow @FILE

Exit codes: 0 printed, 1 failure, 2 bad usage or no usable key.`,
  options: idOptions,
  async run ({ flags }) {
    const { runId } = await import('./run-key-tasks.ts')
    await runId(flags, idOptions)
  }
}
