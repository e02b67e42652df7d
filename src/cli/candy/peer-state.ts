/** The saved state of a peer: its device id and address. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Logger } from '../../log.ts'
import { parseCidr } from '../../net/ipv4.ts'
import { codeOf, reason } from '../reason.ts'
import { claimFile, replaceFile, RETRY } from '../state/state-file.ts'

const stored = z.object({
  vmac: z.string().regex(/^[0-9a-f]{16}$/),
  address: z.string().refine((text) => parseCidr(text) !== undefined).optional()
})

const WARNINGS = {
  notKept: 'the state cannot be kept: this peer will be a new device at each start (see --state-dir)',
  inUse: 'the state is in use by another peer: this one is a device of its own (give it a --name)'
}

/** The device id of candy: 16 characters. Only a client with the same one may take over an address in use. */
const newVmac = (): string => randomBytes(8).toString('hex')

export interface PeerState {
  readonly vmac: string
  /** The last address. */
  readonly address: string | undefined
  /** Saves an address. Never throws: a peer can run without. */
  remember (address: string): void
  close (): Promise<void>
}

/** State that is neither read nor saved. */
export function ephemeralState (): PeerState {
  return { vmac: newVmac(), address: undefined, remember () {}, async close () {} }
}

/**
 * Opens `<dir>/candy/<name>.json`. Errors are warnings, also for a damaged file or one in use by another process; then the peer
 * is a new device.
 *
 * @param dir - undefined when there is no default folder, which is a warning as well
 * @param inherited - the initial state of a new device
 */
export async function openPeerState (dir: string | undefined, name: string, log: Logger, inherited: { vmac?: string, address?: string } = {}): Promise<PeerState> {
  const claim = await claimFile(dir, join('candy', `${name}.json`), log, WARNINGS)
  if (claim === undefined) return ephemeralState()
  const { file, release } = claim
  const before = read(file, log)
  const { vmac = newVmac(), address } = before ?? inherited
  let current = address
  let isDirty = before === undefined
  let retry: NodeJS.Timeout | undefined
  const save = (): void => {
    clearTimeout(retry)
    if (!isDirty) return
    try {
      replaceFile(file, `${JSON.stringify({ vmac, address: current })}\n`)
      isDirty = false
    } catch (err) {
      if (retry === undefined) log.warn({ file, reason: reason(err) }, 'the state cannot be saved')
      retry = setTimeout(save, RETRY).unref()
    }
  }
  save()
  return {
    vmac,
    address: current,
    remember (address) {
      if (address === current) return
      current = address
      isDirty = true
      save()
    },
    async close () {
      save()
      clearTimeout(retry)
      await release()
    }
  }
}

function read (file: string, log: Logger): z.output<typeof stored> | undefined {
  try {
    return stored.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (err) {
    if (codeOf(err) !== 'ENOENT') log.warn({ file }, 'the state is damaged: this peer starts as a new device')
    return undefined
  }
}
