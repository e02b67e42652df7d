/** What Linux says about the size of receive buffers. */
import { readFileSync } from 'node:fs'

const LIMIT = '/proc/sys/net/core/rmem_max'
const STATUS = '/proc/self/status'

/** The number of CAP_NET_ADMIN, with which the limit does not count. */
const CAP_NET_ADMIN = 12n

/** Warns where the system allows less than is asked for. */
export function tellBuffer (bytes: number | undefined, warn: (message: string) => void, read = textOf): void {
  const limit = Number(read(LIMIT))
  if (bytes === undefined || !(bytes > limit) || mayExceed(read(STATUS))) return
  warn(`rmem is ${bytes}, and net.core.rmem_max ${limit}: the buffer has no more than that; sysctl -w net.core.rmem_max=${bytes} allows it`)
}

function mayExceed (status: string): boolean {
  const [, effective] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? []
  return effective !== undefined && (BigInt(`0x${effective}`) >> CAP_NET_ADMIN & 1n) === 1n
}

/** No number where there is no such file, as on other systems than Linux. */
function textOf (file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return 'unknown'
  }
}
