/** Hashes of passwords that take time and memory, so that who finds one cannot try many (RFC 7914). */
import { randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify<string, Buffer, number, { N: number, r: number, p: number }, Buffer>(scrypt)

/** 16 MiB, and about 50 ms of a core. */
const COST = { N: 16_384, r: 8, p: 1 }

/** Bytes. */
const SALT = 16
const HASH = 32

/** Passwords that wait for their hash; one is being made at a time, so that other work has its threads. */
const MAX_WAITING = 16

/** With a salt of its own: hashes of the same one can be compared. */
export class PasswordHasher {
  readonly #salt = randomBytes(SALT)
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  /** Undefined when too many wait already. */
  async hash (password: string): Promise<Buffer | undefined> {
    if (this.#waiting >= MAX_WAITING) return undefined
    this.#waiting++
    const hash = this.#last.then(() => derive(password, this.#salt, HASH, COST))
    this.#last = hash.catch(() => {})
    return await hash.finally(() => { this.#waiting-- })
  }
}
