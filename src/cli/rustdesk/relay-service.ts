import type { Logger } from 'pino'
import { loadNacl, type Nacl } from '../../crypto/nacl/index.ts'
import { OptionError } from '../../errors.ts'
import { endpointText } from '../../net/endpoint.ts'
import { keyText, serverKey, storeGivenPair, type GivenKey } from '../../nodes/rustdesk/keys/index.ts'
import type { RustdeskRelayServer } from '../../nodes/rustdesk/relay/server.ts'
import { isId } from '../../nodes/rustdesk/rendezvous/registration.ts'
import type { RendezvousServer } from '../../nodes/rustdesk/rendezvous/server.ts'
import { quoted } from '../../text/phrases.ts'
import type { Output } from '../process/output.ts'
import type { ServiceMetrics } from '../process/stats-metrics.ts'
import type { StartContext, Service } from '../protocol.ts'
import { explained } from '../reason.ts'
import { keyOf } from '../config/keys.ts'
import { verifyFolder } from './folder.ts'
import { relayOptions } from './options.ts'
import { relayInit, startRelayHalf } from './relay-half.ts'
import { startRendezvousHalf } from './rendezvous-half.ts'
import type { RustdeskRelaySettings } from './settings.ts'

const PROTOCOL = 'rustdesk'

/** What stays as it was at the start. */
const LASTING = ['port', 'relayPort', 'bind', 'data', 'database', 'maxStored', 'key', 'relayKey', 'console', 'trustedProxies', 'serial', 'rendezvousServers', 'rmem'] as const

/** The halves that run. */
interface Halves {
  rendezvous?: RendezvousServer | undefined
  relay?: RustdeskRelayServer | undefined
}

/** Starts a rendezvous server, a relay, or both. @throws an error with a code when a key, the database or a port cannot be used; then nothing runs */
export async function startRustdeskRelay ({ settings, log, out }: StartContext<RustdeskRelaySettings>): Promise<Service<RustdeskRelaySettings>> {
  const { port, relayPort, data: folder } = settings
  await verifyFolder(folder, 'the folder of data')
  const nacl = await loadNacl()
  const halves: Halves = {}
  const { key = '-', relayKey = settings.key ?? '' } = settings
  if (port > 0 || relayKey === '-' || relayKey === '_') await storeKeys(settings, nacl, log)
  const { licence: relayLicence, pair: relayPair } = relayPort === 0 ? { licence: undefined, pair: undefined } : await serverKey({ nacl, key: relayKey, folder, signs: false })
  if (port === 0 && relayPair !== undefined) tellKey(out, keyText(relayPair.publicKey))
  try {
    if (port > 0) {
      const own = await serverKey({ nacl, key, folder, signs: true })
      if (own.files?.publicFile === 'other') log.warn({ folder }, 'id_ed25519.pub is not the public key of id_ed25519: clients need the one that is printed here')
      halves.rendezvous = await startRendezvousHalf(settings, own, nacl, log).catch((err) => { throw listening(err, settings.bind, port) })
      if (own.pair !== undefined) tellKey(out, keyText(own.pair.publicKey))
      if (own.pair === undefined) log.warn({}, 'the key is no secret key: clients get no signed keys of peers, and their sessions are not encrypted')
    }
    if (relayPort > 0) halves.relay = await startRelayHalf(settings, relayLicence, log).catch((err) => { throw listening(err, settings.bind, relayPort) })
  } catch (err) {
    await stop(halves)
    throw err
  }
  for (const url of urlsOf(halves, settings.bind)) out.ready(PROTOCOL, url)
  return {
    register (metrics) { register(metrics, halves) },
    status: () => statusOf(halves),
    async explain (id) {
      if (halves.rendezvous === undefined) throw new OptionError('there is no rendezvous server here, which knows the ids of peers')
      if (!isId(id)) throw new OptionError(`not the id of a peer (${quoted(id)}), expected 6 characters at least, such as 123456789`)
      return await halves.rendezvous.explain(id)
    },
    async reload (next) {
      const kept = Object.fromEntries(LASTING.map((name) => [name, settings[name]])) as Pick<RustdeskRelaySettings, typeof LASTING[number]>
      const applied = { ...next, ...kept }
      halves.rendezvous?.configure(applied)
      await halves.relay?.configure({ ...relayInit(applied, relayLicence), host: hostOf(halves.relay) })
      return { restart: LASTING.filter((name) => String(next[name]) !== String(settings[name])).map((name) => keyOf(name, relayOptions[name])) }
    },
    stop: () => stop(halves)
  }
}

async function stop ({ rendezvous, relay }: Halves): Promise<void> { await Promise.all([rendezvous?.close(), relay?.close()]) }

/** Keys of the environment are for a folder without any. */
async function storeKeys ({ data: folder, keyPub, keyPriv }: RustdeskRelaySettings, nacl: Nacl, log: Logger): Promise<void> {
  const given = (text: string | undefined, name: string): GivenKey | undefined => text === undefined ? undefined : { text, name }
  const stored = await storeGivenPair({ nacl, folder, secretKey: given(keyPriv, 'KEY_PRIV'), publicKey: given(keyPub, 'KEY_PUB') })
  if (stored === 'stored') log.info({ folder }, 'the keys of the environment are written to the key files')
  if (stored === 'other') log.warn({ folder }, 'KEY_PUB is not the public key of id_ed25519: the file counts')
}

function tellKey (out: Output, key: string): void {
  out.say(`Key: ${key}`)
  out.event('key', { protocol: PROTOCOL, key })
}

/** What files and folders fail with, when it is about the lists of the relay. */
const OF_FILES = ['open', 'read', 'stat', 'fstat']

function listening (err: NodeJS.ErrnoException & { port?: number }, host = '::', port: number): unknown {
  if (OF_FILES.includes(err.syscall ?? '')) return explained(err, `${err.path ?? 'a list of addresses'} cannot be read`)
  return explained(err, `cannot listen on ${endpointText({ host, port: err.port ?? port })}`)
}

/** The address that it listens on, which is another one than was asked for where there is no IPv6. */
const hostOf = ({ url }: RustdeskRelayServer): string => new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')

/** One for each listener. */
function urlsOf ({ rendezvous, relay }: Halves, bind = '::'): string[] {
  const urls: string[] = []
  if (rendezvous !== undefined) {
    const { udp, tcp, natTest, webSocket } = rendezvous.ports
    for (const [scheme, port] of [['udp', udp], ['tcp', tcp], ['tcp', natTest], ['ws', webSocket]] as const) urls.push(`${scheme}://${endpointText({ host: bind, port })}`)
  }
  if (relay !== undefined) urls.push(relay.url, relay.websocketUrl)
  return urls
}

/** The JSON of `status`. */
export interface RustdeskStatus {
  rendezvous?: ReturnType<RendezvousServer['status']> | undefined
  relay?: ReturnType<RustdeskRelayServer['status']> | undefined
}

const statusOf = ({ rendezvous, relay }: Halves): RustdeskStatus => ({ rendezvous: rendezvous?.status(), relay: relay?.status() })

function register (metrics: ServiceMetrics, { rendezvous, relay }: Halves): void {
  if (relay !== undefined) metrics.stats('tunpipe_rustdesk_relay', () => [{ labels: {}, stats: relay.relay.stats }], ['pairs', 'pending', 'bufferedBytes', 'halfOpen'])
  if (rendezvous === undefined) return
  metrics.stats('tunpipe_rustdesk_rendezvous', () => {
    const { messages, alwaysUseRelay: _always, relays: _relays, url: _url, members: _members, ...stats } = rendezvous.status()
    return [{ labels: { way: '' }, stats }, ...Object.entries(messages).map(([way, counts]) => ({ labels: { way }, stats: { messages: counts } }))]
  }, ['peers', 'online', 'connected', 'registering', 'waiting', 'heldBytes', 'healthChecks', 'counted', 'halfOpen'])
}
