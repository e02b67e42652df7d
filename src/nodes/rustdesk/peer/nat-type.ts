/** The type of NAT before this peer, by the two ports of its server (RustDesk protocol, section 6.3). */
import { ServerConnection, type DialServerInit } from './server-connection.ts'
import { NatType } from '../protocol/enums.ts'
import { mappingOf, type Observation } from '../../../nat/nat-behaviour.ts'

/** Milliseconds for an answer. */
const ANSWER_TIMEOUT = 3000

/**
 * Asks both ports from one local port.
 *
 * @returns one of `NatType`
 * @throws an error of the system when the server cannot be reached
 */
export async function testNat (init: DialServerInit): Promise<number> {
  const { server } = init
  const first = await ServerConnection.dial(init)
  const { local } = first
  const seen: Observation[] = []
  const ask = async (connection: ServerConnection, port: number): Promise<void> => {
    connection.send({ test_nat_request: { serial: 0 } })
    const found = await connection.next(({ test_nat_response: answer }) => answer?.port ?? undefined, ANSWER_TIMEOUT).catch(() => undefined)
    void connection.close()
    if (found !== undefined && found > 0) seen.push({ server: { host: server.host, port }, reflexive: { host: local.host, port: found } }) // the server tells the port alone
  }
  await ask(first, server.port)
  const second = await ServerConnection.dial({ ...init, server: { host: server.host, port: server.port - 1 }, from: local }).catch(() => undefined)
  if (second !== undefined) await ask(second, server.port - 1)
  return typeOf(seen)
}

/** Both ports of one server have to see the same one. */
function typeOf (seen: readonly Observation[]): number {
  if (seen.length < 2) return NatType.unknown
  return mappingOf(seen).isMappingIndependent === false ? NatType.symmetric : NatType.asymmetric
}
