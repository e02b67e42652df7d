/** The real hbbs, for whoever has it, and a client of its registration. It listens on all addresses, so only where nobody reaches it. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { Test } from 'tap'
import { newHome } from '../programs/homes.ts'
import { startCommand, type Program } from '../programs/program.ts'

export const { HBBS_BIN } = process.env

const PORT = 21116

/** Milliseconds until a request is sent again; each one counts for the limits of a client, so not too often. */
const REPEAT = 2000

/** Results of a registration (rustdesk protocol, section 2). */
export const OK = 0
export const UUID_MISMATCH = 2

const field = (number: number, value: Uint8Array): Buffer => Buffer.concat([Buffer.from([number << 3 | 2, value.length]), value])

/** A RegisterPk in a RendezvousMessage; values of up to some 100 bytes together, so that a length has one byte. */
const registerPk = (id: string, uuid: string, pk: Uint8Array): Buffer => field(15, Buffer.concat([field(1, Buffer.from(id)), field(2, Buffer.from(uuid)), field(3, pk)]))

/** Registers by UDP, until there is an answer; gives its result. */
export async function register (t: Test, id: string, uuid: string, pk: Uint8Array): Promise<number> {
  const socket = createSocket('udp4')
  const send = (): void => { socket.send(registerPk(id, uuid, pk), PORT, '127.0.0.1') }
  const timer = setInterval(send, REPEAT)
  t.teardown(() => { clearInterval(timer) })
  send()
  const [answer] = await once(socket, 'message') as [Buffer]
  clearInterval(timer)
  socket.close()
  if (answer.readUInt16BE(0) !== 0x8201) throw new Error(`not a RegisterPkResponse: ${answer.toString('hex')}`)
  return answer[2] === 0 ? OK : answer[4]
}

/** Starts it in a folder, where its database is. */
export async function startHbbs (t: Test, folder: string): Promise<Program> {
  const program = startCommand(t, String(HBBS_BIN), [], { cwd: folder, env: { HOME: newHome(), TEST_HBBS: 'no' } })
  await program.find(/Listening on udp|Start/)
  return program
}

export async function stopHbbs (program: Program, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  program.signal(signal)
  await program.ended
}
