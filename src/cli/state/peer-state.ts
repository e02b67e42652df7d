/** What a peer remembers from one run to the next, so that it is the same device with the same address again. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Logger } from '../../log.ts'
import { parseCidr } from '../../net/ipv4.ts'
import { codeOf, reason } from '../reason.ts'
import { claimFile, replaceFile, RETRY } from './state-file.ts'

const stored = z.object({
  vmac: z.string().regex(/^[0-9a-f]{16}$/),
  address: z.string().refine((text) => parseCidr(text) !== undefined).optional()
})

const WARNINGS = {
  notKept: 'the state cannot be kept: this peer will be a new device at each start (see --state-dir)',
  inUse: 'the state is in use by another peer: this one is a device of its own (give it a --name)'
}

/** The device id of candy: 16 characters. Only a client with the same one may take over an address in use. */
export const newVmac = (): string => randomBytes(8).toString('hex')

export interface PeerState {
  readonly vmac: string
  /** The address of the last run. */
  readonly address: string | undefined
  /** Remembers an address for the next run. Never throws: a peer that cannot remember can still run. */
  remember (address: string): void
  close (): Promise<void>
}

/** Nothing is read and nothing is kept. */
export function ephemeralState (): PeerState {
  return { vmac: newVmac(), address: undefined, remember () {}, async close () {} }
}

/**
 * Opens `<dir>/candy/<name>.json`. Whatever is wrong with it (no permission, nonsense inside, in use by another process) is
 * a warning, and the peer starts as a new device.
 *
 * @param dir - undefined when no folder is known, which is a warning as well
 * @param inherited - what a new device begins with
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
