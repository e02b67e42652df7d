import { randomInt } from 'node:crypto'

/** Letters and digits that are not easily confused; 31 of them, 4.95 bits each. */
const ALPHABET = 'abcdefghjkmnpqrstuvwxyz23456789'
const GROUPS = 7
const GROUP_LENGTH = 4

/** A random password of 138 bits such as `k7mq-x2fd-...`, without characters that are special in a shell or in YAML. */
export function newPassword (): string {
  const letter = (): string => ALPHABET[randomInt(ALPHABET.length)]
  const group = (): string => Array.from({ length: GROUP_LENGTH }, letter).join('')
  return Array.from({ length: GROUPS }, group).join('-')
}
