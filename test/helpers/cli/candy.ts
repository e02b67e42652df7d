/** A relay as whoever runs it sees it: its file, the commands that ask it, and bare clients. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import { dialWebSocket } from '../../../src/transports/websocket.ts'
import { CandyClient } from '../candy/client.ts'
import { homeEnv } from '../programs/homes.ts'
import { askControl } from './control.ts'
import { startProgram, type Program } from '../programs/program.ts'

export interface Started {
  relay: Program
  url: string
  /** Where commands find it. */
  env: Record<string, string>
  /** Writes the file anew. */
  write (text: string): void
  reload (): Promise<any>
  status (): Promise<any>
}

export const network = (path: string, password: string, more = ''): string => `    - path: ${path}\n      password: ${password}\n      dhcp: 10.77.0.0/24\n${more}`
export const config = (...networks: string[]): string => `candy:\n  listen: ws://127.0.0.1:0\n  networks:\n${networks.join('')}`

export async function start (t: Test, text: string, env = homeEnv(), args: string[] = [], imports: string[] = []): Promise<Started> {
  const folder = t.testdir()
  const file = join(folder, 'relay.yaml')
  const write = (text: string): void => { writeFileSync(file, text, { mode: 0o600 }) }
  write(text)
  const relay = startProgram(t, 'relay', ['--config', file, '--json', ...args], { env, imports })
  const [, url] = await relay.find(/"protocol":"candy","url":"(wss?:[^"]*)"/)
  return { relay, url, env, write, reload: () => askControl(env, 'relay', 'reload'), status: () => askControl(env, 'relay', 'status') }
}

/** A bare client over a real socket. */
export async function joined (t: Test, url: string, password: string, address: string, init = {}): Promise<CandyClient> {
  const link = await dialWebSocket(url, init)
  t.teardown(() => { link.abort(new Error('the test is over')) })
  const client = new CandyClient(link, new Secret(password))
  await client.login(address)
  return client
}
