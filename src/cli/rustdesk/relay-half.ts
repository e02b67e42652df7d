/** The relay of `relay rustdesk`, with its lists of addresses. */
import { join } from 'node:path'
import type { Logger } from 'pino'
import { serveRustdeskRelay, type RustdeskRelayServer } from '../../nodes/rustdesk/relay/server.ts'
import type { LicenceKey } from '../../nodes/rustdesk/keys/index.ts'
import type { RustdeskRelaySettings } from './settings.ts'

/** What systems say that have no IPv6. */
const NO_IPV6 = ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']

type RelayInit = Parameters<typeof serveRustdeskRelay>[0]

/** The settings of the relay among those of both. */
export function relayInit ({ bind, relayPort, port: _, ...settings }: RustdeskRelaySettings, licence: LicenceKey | undefined): RelayInit & { host: string } {
  return { ...settings, host: bind ?? '::', port: relayPort, key: licence?.text ?? '' }
}

/** @throws an error of the system when it cannot listen, or cannot read a list */
export async function startRelayHalf (settings: RustdeskRelaySettings, licence: LicenceKey | undefined, log: Logger): Promise<RustdeskRelayServer> {
  const init = { ...relayInit(settings, licence), blacklist: join(settings.data, 'blacklist.txt'), blocklist: join(settings.data, 'blocklist.txt'), log }
  return await serveRustdeskRelay(init).catch(async (err) => {
    if (settings.bind !== undefined || !NO_IPV6.includes(err.code)) throw err
    return await serveRustdeskRelay({ ...init, host: '0.0.0.0' })
  })
}
