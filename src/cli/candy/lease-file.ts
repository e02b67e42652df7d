/** Saves the leases of a relay in `<dir>/candy-relay/leases.json`. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Logger } from '../../log.ts'
import { LeaseStore } from '../../nodes/candy/index.ts'
import { parseAddress } from '../../net/ipv4.ts'
import { readBounded } from '../config/bounded-file.ts'
import { reason } from '../reason.ts'
import { claimFile, replaceFileLater, RETRY } from '../state/state-file.ts'

/** About 50 bytes a device, for 65536 devices in each of several networks. */
const MAX_FILE_BYTES = 32 * 1024 * 1024

/** Milliseconds from a change to the write; and the delay after a write as a multiple of its duration, since the whole file is written each time. */
const DELAY = 500
const SHARE = 50

const stored = z.record(z.string(), z.array(z.tuple([z.string(), z.string().refine((text) => parseAddress(text) !== undefined)])))

const WARNINGS = {
  notKept: 'leases cannot be kept: addresses may change when this relay starts again (see --state-dir)',
  inUse: 'the leases are in use by another relay: this one keeps none (give it a --state-dir)'
}

export interface LeaseFile {
  readonly leases: LeaseStore
  /** Saves pending changes. */
  close (): Promise<void>
}

/**
 * Opens the lease file. Errors are warnings, also for a damaged file, one in use by another process, or a full disk: the relay runs
 * without, and saving is retried.
 *
 * @param dir - undefined when there is no default folder, which is a warning as well
 */
export async function openLeases (dir: string | undefined, log: Logger): Promise<LeaseFile> {
  const claim = await claimFile(dir, join('candy-relay', 'leases.json'), log, WARNINGS)
  if (claim === undefined) return { leases: new LeaseStore(), async close () {} }
  const { file, release } = claim
  const leases = read(file, log)
  const saver = new Saver(file, leases, log)
  leases.onChange = () => { saver.changed() }
  return {
    leases,
    async close () {
      await saver.close()
      await release()
    }
  }
}

function read (file: string, log: Logger): LeaseStore {
  if (!existsSync(file)) return new LeaseStore()
  try {
    return new LeaseStore(stored.parse(JSON.parse(readBounded(file, 'leases', MAX_FILE_BYTES))))
  } catch (err) {
    const why = err instanceof SyntaxError || err instanceof z.ZodError ? 'it is damaged' : reason(err)
    log.warn({ file, reason: why }, 'the leases cannot be read: devices may get new addresses')
    return new LeaseStore()
  }
}

/** Writes one file, after a delay that combines changes. */
class Saver {
  readonly #file: string
  readonly #leases: LeaseStore
  readonly #log: Logger
  #timer: NodeJS.Timeout | undefined
  #saving: Promise<void> = Promise.resolve()
  #delay = DELAY
  #isDirty = false
  /** The last write has failed, so that a full disk is logged once. */
  #hasFailed = false

  constructor (file: string, leases: LeaseStore, log: Logger) {
    this.#file = file
    this.#leases = leases
    this.#log = log
  }

  changed (): void {
    this.#isDirty = true
    this.#timer ??= setTimeout(() => { this.#saving = this.#save() }, this.#delay).unref()
  }

  async close (): Promise<void> {
    clearTimeout(this.#timer)
    await this.#saving
    clearTimeout(this.#timer)
    if (this.#isDirty) await this.#save()
  }

  async #save (): Promise<void> {
    const begin = performance.now()
    this.#isDirty = false
    try {
      await replaceFileLater(this.#file, `${JSON.stringify(this.#leases)}\n`)
      this.#hasFailed = false
      this.#delay = Math.max(DELAY, (performance.now() - begin) * SHARE)
    } catch (err) {
      if (!this.#hasFailed) this.#log.warn({ file: this.#file, reason: reason(err) }, 'the leases cannot be saved')
      this.#hasFailed = this.#isDirty = true
      this.#delay = RETRY
    }
    this.#timer = undefined
    if (this.#isDirty) this.changed()
  }
}
