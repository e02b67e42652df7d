/** `relay rustdesk` and `peer rustdesk` as their users run them, on the loopback. */
import type { Test } from 'tap'
import { freePort } from '../free-ports.ts'
import { homeEnv, newHome } from '../programs/homes.ts'
import { startProgram, type Program } from '../programs/program.ts'

export interface Side {
  readonly program: Program
  readonly env: Record<string, string>
}

export interface Server extends Side {
  readonly port: number
  readonly key: string
  /** The options by which peers find it. */
  readonly args: readonly string[]
  /** Ends it, and starts it again with its data. */
  restart (): Promise<void>
}

export async function startServer (t: Test): Promise<Server> {
  const [folder, port, relayPort, env] = [newHome(), await freePort(), await freePort(), homeEnv()]
  const start = async (): Promise<[program: Program, key: string]> => {
    const program = startProgram(t, 'relay', ['rustdesk', '-p', String(port), '--relay-port', String(relayPort), '-b', '127.0.0.1', '--data', folder, '--console', 'off'], { env })
    const [, key] = await program.find(/^Key: (\S+)$.*^ready rustdesk ws:.*^ready rustdesk ws:/ms)
    return [program, key]
  }
  let [program, key] = await start()
  return {
    get program () { return program },
    env,
    port,
    key,
    args: ['--server', `127.0.0.1:${port}`, '--key', key, '--relay', `127.0.0.1:${relayPort}`],
    async restart () {
      program.signal('SIGTERM')
      await program.ended
      ;[program] = await start()
    }
  }
}

export interface Peer extends Side {
  /** Of its public key, as it prints it. */
  key (): Promise<string>
}

export function startPeer (t: Test, args: readonly string[], env = homeEnv()): Peer {
  const program = startProgram(t, 'peer', ['rustdesk', ...args, '--json'], { env })
  return {
    program,
    env,
    async key () {
      const [, key] = await program.find(/"event":"key","protocol":"rustdesk","key":"([^"]+)"/)
      return key
    }
  }
}

/** Where users of a peer come in. */
export async function portOf ({ program }: Side): Promise<number> {
  const [, port] = await program.find(/"event":"ready","protocol":"rustdesk","url":"tcp:\/\/127\.0\.0\.1:(\d+)"/)
  return Number(port)
}
