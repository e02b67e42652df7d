import { randomInt } from 'node:crypto'

/** Letters and digits that are not mistaken for each other; with 31 of them each has 4.95 bits. */
const ALPHABET = 'abcdefghjkmnpqrstuvwxyz23456789'
const GROUPS = 7
const GROUP_LENGTH = 4

/** A password of 138 bits such as `k7mq-x2fd-...`: no shell and no YAML sees anything special in it. */
export function newPassword (): string {
  const letter = (): string => ALPHABET[randomInt(ALPHABET.length)]
  const group = (): string => Array.from({ length: GROUP_LENGTH }, letter).join('')
  return Array.from({ length: GROUPS }, group).join('-')
}
