/** Who uses which local ports of a host. */
import { streamError } from './errors.ts'
import { overlaps } from '../address.ts'
import type { Endpoint } from '../../../../types.ts'

/** Ports for those who do not ask for one (RFC 6335, section 6). */
const EPHEMERAL = { first: 49_152, count: 16_384 } as const

/** All addresses of IPv4, and of both families. */
export const ANY_IPV4 = '0.0.0.0'
export const ANY = '::'

/** Someone who uses a local address. */
export interface Use {
  readonly local: Endpoint
  /** Else it is a connection that was dialled. */
  readonly listens: boolean
  /** A listener and connections that all do so may have the same address. */
  readonly sharesPort: boolean
}

const collide = (one: Use, other: Use): boolean =>
  overlaps(one.local.host, other.local.host) && ((one.listens && other.listens) || !one.sharesPort || !other.sharesPort)

export class LocalPorts {
  readonly #uses = new Map<number, Set<Use>>()
  #nextPort = 0

  /**
   * Takes a port, a free one for port 0.
   *
   * @throws `EADDRINUSE` of the system, and `EADDRNOTAVAIL` where no port is free
   */
  take ({ host, port }: Endpoint, { listens, sharesPort }: Omit<Use, 'local'>): Use {
    const syscall = listens ? 'listen' : 'connect'
    const use: Use = { local: { host, port: port === 0 ? this.#free(syscall) : port }, listens, sharesPort }
    const users = this.#uses.get(use.local.port) ?? new Set()
    for (const other of users) if (collide(use, other)) throw streamError('EADDRINUSE', syscall, use.local)
    this.#uses.set(use.local.port, users.add(use))
    return use
  }

  release (use: Use): void {
    const { port } = use.local
    const users = this.#uses.get(port)
    if (users?.delete(use) === true && users.size === 0) this.#uses.delete(port)
  }

  #free (syscall: string): number {
    for (let tried = 0; tried < EPHEMERAL.count; tried++) {
      const port = EPHEMERAL.first + this.#nextPort
      this.#nextPort = (this.#nextPort + 1) % EPHEMERAL.count
      if (!this.#uses.has(port)) return port
    }
    throw streamError('EADDRNOTAVAIL', syscall)
  }
}
