/** The port in front of that of the server: one question of a client, or, from this machine, one command of the operator as text. */
import type { Rendezvous } from './rendezvous.ts'
import { withoutCommands } from '../protocol/console-connection.ts'
import { countedMessages } from '../protocol/counted-frames.ts'
import { isLoopback } from '../../../net/client-address.ts'
import { overAccepted, type ConnectionInfo } from '../../../transports/connection-guard.ts'
import type { Clock, Link } from '../../../types.ts'

/** Of both questions, test_nat_request and online_request. */
const TAGS: ReadonlySet<number> = new Set([0xa2, 0xba])

/** Serves one connection; settles when it has ended, and never rejects. */
export async function acceptNatTest (rendezvous: Rendezvous, link: Link & ConnectionInfo, { hasConsole, clock }: { hasConsole: boolean, clock: Clock }): Promise<void> {
  const isOfOperator = hasConsole && isLoopback(link.remote.host)
  const rest = isOfOperator ? await withoutCommands(link, { tags: TAGS, command: (text) => rendezvous.command(text), clock }) : link
  if (rest !== undefined) await rendezvous.accept(overAccepted(rest, countedMessages), 'nat_test')
}
