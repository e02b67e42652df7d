/** What the original client has kept (candy protocol, section 4): who takes its configuration over is the same device with the same address. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseCidr } from '../../net/ipv4.ts'

const FOLDER = '/var/lib/candy'

/** How it calls what belongs to a client without a name, and what all clients share. */
const UNNAMED = '__noname__'

export interface OriginalState {
  vmac?: string
  address?: string
}

/** @returns what can be read and makes sense of it; nothing is an error */
export function readOriginalState (name = UNNAMED, folder = FOLDER): OriginalState {
  const vmac = first(['vmac', name], ['vmac', UNNAMED])
  const address = first(['address', name])
  return {
    vmac: vmac !== undefined && /^[0-9a-f]{16}$/.test(vmac) ? vmac : undefined,
    address: address !== undefined && parseCidr(address) !== undefined ? address : undefined
  }

  function first (...files: string[][]): string | undefined {
    for (const file of files) {
      try {
        return readFileSync(join(folder, ...file), 'utf8').trim()
      } catch {
        // It is not there, or not for us.
      }
    }
    return undefined
  }
}
