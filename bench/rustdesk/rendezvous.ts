/** What is asked of a rendezvous server: who is there, who is new, and who wants to connect to whom. */
import type { ServerLab } from './lab.ts'
import { compareRounds } from './rounds.ts'
import { plainEcho, Server } from './servers.ts'
import type { Run } from '../lib/run.ts'

const IN_FLIGHT = 32
/** Those that clients ask for in turn. */
const PEERS = 1024

/** Datagrams of peers that are known: that they are still there. The least in Node is that these come back. */
export async function presence (run: Run, lab: ServerLab, servers: readonly Server[], port: number): Promise<void> {
  const echo = await Server.start(lab, plainEcho(port))
  await compareRounds(run, lab, [...servers, echo], {
    name: 'peers that are still there, 128 datagrams in flight',
    unit: 'datagrams',
    script: 'rustdesk/presence.js',
    env: (server): Record<string, string> => server === echo ? { BENCH_ECHO: 'yes' } : {},
    message: { milliseconds: run.full ? 2000 : 1000 }
  })
  await echo.stop()
}

/** Keys of peers that are new, each from an address of its own, answered when they are on the disk. */
export async function registrations (run: Run, lab: ServerLab, servers: readonly Server[]): Promise<void> {
  await compareRounds(run, lab, servers, {
    name: 'first registrations, 64 in flight',
    unit: 'peers',
    script: 'rustdesk/registrations.js',
    message: { milliseconds: run.full ? 3000 : 1500 }
  })
}

/** Clients ask for peers, and get their answers. */
export async function punches (run: Run, lab: ServerLab, servers: readonly Server[]): Promise<void> {
  await compareRounds(run, lab, servers, {
    name: `punches, ${IN_FLIGHT} in flight`,
    unit: 'punches',
    script: 'rustdesk/punches.js',
    env: (server) => ({ BENCH_KEY: server.key(), BENCH_PEERS: String(PEERS) }),
    message: { milliseconds: run.full ? 3000 : 1500, inFlight: IN_FLIGHT },
    warmUps: 3
  })
}
