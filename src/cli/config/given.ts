/** What the command line and the environment give, for files whose meaning depends on it. */
import { secretsOf } from './keys.ts'
import { isSection, type ConfigSource } from './settings.ts'
import type { Protocol } from '../protocol.ts'

/** Whether a key of the section of a protocol is given by flags, or by a variable of the environment: it wins over files then. */
export function givenBy (flags: ConfigSource, { name, options }: Pick<Protocol, 'name' | 'options'>): (key: string) => boolean {
  const { [name]: section } = flags.values
  const variables = new Map(secretsOf(options).map(({ name, variable }) => [name, variable]))
  return (key) => (isSection(section) && section[key] !== undefined) || Boolean(process.env[variables.get(key) ?? ''])
}
