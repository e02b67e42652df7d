/** The state of the original client (candy protocol, section 4): a peer with its configuration is the same device with the same address. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseCidr } from '../../../net/ipv4.ts'

const FOLDER = '/var/lib/candy'

/** The name that the original uses for a client without one, and for values of all clients. */
const UNNAMED = '__noname__'

export interface OriginalState {
  vmac?: string
  address?: string
}

/** @returns the values that exist and are valid; errors are ignored */
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
        // does not exist, or is not readable
      }
    }
    return undefined
  }
}
