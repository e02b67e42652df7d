/** The peers of this machine that run natpass. */
import { endpointText } from '../../../net/endpoint.ts'
import type { NatpassPeerStatus } from '../../../nodes/natpass/index.ts'
import type { peerOptions } from '../../../nodes/natpass/peer/options.ts'
import type { SettingsOf } from '../../../nodes/common/options/option.ts'
import { listOf, quoted } from '../../../text/phrases.ts'
import type { Flags } from '../../config/settings.ts'
import { ControlError, sendRequest, type ControlTarget } from '../../control/client.ts'
import { controlTarget } from '../../control/commands.ts'
import type { Protocol } from '../../protocol.ts'
import { UsageError } from '../../usage-error.ts'

const PROTOCOL = 'natpass'

type Identity = Pick<SettingsOf<typeof peerOptions>, 'id' | 'server'>

/** A peer that runs, and the path of its control socket. */
interface Found {
  readonly path: string
  readonly status: NatpassPeerStatus
}

/**
 * The running peer with the id of these settings, or the only one. A second connection with its id would end its own.
 *
 * @throws {UsageError} when there are several, or it has another server, which may be the same one by another name
 * @throws {ControlError} when a process cannot be asked that may be it, or nobody listens at the given `--control`
 */
export async function runningPeer ({ config, source }: Flags, protocols: readonly Protocol[], settings: Identity | undefined): Promise<NatpassPeerStatus | undefined> {
  const { control } = source.values
  const { path, others = [], program } = controlTarget({ control, config, protocol: PROTOCOL }, { program: 'peer', protocols })
  if (control !== undefined) return await statusOf({ path, program })
  const paths = [path, ...others]
  const asked = await Promise.allSettled(paths.map((path) => statusOf({ path, program }).catch(ifAbsent)))
  const found = asked.flatMap((answer, i) => answer.status === 'fulfilled' && answer.value !== undefined ? { path: paths[i], status: answer.value } : [])
  const fitting = settings === undefined ? found : fittingOf(found, settings)
  if (fitting.length > 1) throw new UsageError(`--control: missing, as several peers run here, expected ${listOf(fitting.map(({ path }) => path))}`)
  const failed = asked.find((answer) => answer.status === 'rejected')
  if (fitting.length === 0 && failed !== undefined) throw failed.reason
  return fitting[0]?.status
}

/** @throws {UsageError} when those with the id have other servers */
function fittingOf (found: Found[], { id, server }: Identity): Found[] {
  const namesakes = found.filter(({ status }) => status.id === id)
  const wanted = endpointText(server)
  const fitting = namesakes.filter(({ status }) => status.server === wanted)
  if (fitting.length > 0 || namesakes.length === 0) return fitting
  throw new UsageError(`--server: ${wanted} is not what the peer ${quoted(id)} that runs here is connected to, expected ${listOf(namesakes.map(({ status }) => status.server))}`)
}

async function statusOf (target: ControlTarget): Promise<NatpassPeerStatus> {
  const { services } = await sendRequest(target, { command: 'status', protocol: PROTOCOL }) as { services: NatpassPeerStatus[] }
  return services[0]
}

/** Nobody listens there, or no peer of natpass. */
function ifAbsent (err: unknown): undefined {
  if (err instanceof UsageError || (err instanceof ControlError && err.isAbsent)) return undefined
  throw err
}
