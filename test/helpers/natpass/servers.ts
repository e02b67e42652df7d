/** The servers that the real clients are tried with: our relay, and the original. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { SECRET } from './client.ts'
import { startOriginalServer } from './original.ts'
import { freePort } from '../free-ports.ts'
import { newHome } from '../programs/homes.ts'
import { startProgram, type Program } from '../programs/program.ts'

export interface ServerUnderTest {
  program: Program
  port: number
}

/** @param listen where, `host:port` */
export async function startRelay (t: Test, listen = '127.0.0.1:0'): Promise<ServerUnderTest> {
  const file = join(newHome(), 'secret')
  writeFileSync(file, SECRET)
  const program = startProgram(t, 'relay', ['natpass', '--listen', listen, '--secret-file', file])
  const [, port] = await program.find(/^ready natpass tcp:\/\/.*:(\d+)$/m)
  return { program, port: Number(port) }
}

export async function startOriginal (t: Test): Promise<ServerUnderTest> {
  const port = await freePort()
  return { program: await startOriginalServer(t, port), port }
}
