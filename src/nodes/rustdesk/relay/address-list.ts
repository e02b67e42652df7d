/** A list of addresses: those of a file, and those that were added or removed by hand. */
import { readFile, stat } from 'node:fs/promises'
import { foldAddress } from '../protocol/addresses.ts'

/** Addresses of one list, bytes of its file, and characters of an address. */
const MAX_ADDRESSES = 65_536
const MAX_FILE = 4 * 1024 * 1024
const MAX_ADDRESS = 64

export class AddressList {
  /** Changes with the list. */
  version = 0
  readonly #path: string | undefined
  readonly #all = new Set<string>()
  /** What the file held when it was last read. */
  #ofFile = new Set<string>()
  /** Identifies that state of the file; undefined: there was none. */
  #state: string | undefined

  /** @param path of the file. Default: there is none */
  constructor (path?: string) { this.#path = path }

  get size (): number { return this.#all.size }

  [Symbol.iterator] (): Iterator<string> { return this.#all.values() }

  /** `::ffff:192.0.2.1` counts as 192.0.2.1. */
  has (host: string): boolean { return this.#all.size > 0 && this.#all.has(foldAddress(host)) }

  add (host: string): void {
    if (host === '' || host.length > MAX_ADDRESS || this.#all.size >= MAX_ADDRESSES) return
    this.#all.add(foldAddress(host))
    this.version++
  }

  remove (host: string): void { if (this.#all.delete(foldAddress(host))) this.version++ }

  clear (): void {
    this.#all.clear()
    this.version++
  }

  /**
   * Reads the file if it has changed: what is new in it is added, what is gone from it is removed, and changes by hand stay. Without a file
   * it is empty.
   *
   * @throws an error of the system when it cannot be read; then nothing has changed
   */
  async refresh (): Promise<void> {
    if (this.#path === undefined) return
    const found = await stat(this.#path).catch((err: NodeJS.ErrnoException) => {
      if (err.code === 'ENOENT') return undefined
      throw err
    })
    const state = found === undefined ? undefined : `${found.ino} ${found.size} ${found.mtimeMs}`
    if (state === this.#state) return
    if (found !== undefined && found.size > MAX_FILE) throw Object.assign(new Error(`${this.#path} has ${found.size} bytes, limit ${MAX_FILE}`), { code: 'EFBIG' })
    this.#apply(found === undefined ? '' : await readFile(this.#path, 'utf8'))
    this.#state = state
  }

  /** The first word of each line is an address. */
  #apply (text: string): void {
    const before = this.#ofFile
    this.#ofFile = new Set()
    for (const line of text.split('\n')) {
      const [word] = line.trim().split(/\s/, 1)
      if (word === '' || word.length > MAX_ADDRESS || this.#ofFile.size >= MAX_ADDRESSES) continue
      const host = foldAddress(word)
      this.#ofFile.add(host)
      if (!before.has(host)) this.add(host)
    }
    for (const host of before) if (!this.#ofFile.has(host)) this.remove(host)
  }
}
