/** Ports that somebody else shall listen on: a program, or a server whose port is chosen by its client. */
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below those that the system gives to the connections of other tests. */
export async function freePorts (count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = randomInt(10_000, 32_768)
    const server = createServer().listen(port) // all addresses, as a relay does
    const isFree = await once(server, 'listening').then(() => true, () => false)
    if (!isFree) continue
    ports.add(port)
    await once(server.close(), 'close')
  }
  return [...ports]
}

export async function freePort (): Promise<number> {
  const [port] = await freePorts(1)
  return port
}
