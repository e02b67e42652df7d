/**
 * Asks gateways by `@achingbrain/nat-port-mapper`, in a thread of its own: the package trusts what comes from the network. A short answer
 * throws where nobody catches it, answers have no bound, and nobody asks where they come from.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { Gateway } from '@achingbrain/nat-port-mapper'
import { boundedFetch } from './bounded-fetch.ts'
import type { MappingRequest, MappingResult, MappingTask } from './messages.ts'
import { searchGateways } from './search.ts'
import { timeLimit } from './time-limit.ts'
import { scopeOf } from '../address-scope.ts'
import { parseAddress } from '../../net/ipv4.ts'
import { systemClock } from '../../streams/clock.ts'

/** Requests by NAT-PMP, which is over UDP, and milliseconds for each; the package sends none again. */
const TRIES = 3
const TRY_TIME = 800

const UPNP_TIME = 5000
const DESCRIPTION = 'tunpipe'
const NAT_PMP_PORT = 5351

/** Of the version of the package that package.json names: what it does not declare. */
interface PmpInternals extends Gateway {
  on (event: 'error', listener: () => void): void
  onMessage (message: Buffer, from: { address: string, port: number }): void
}
interface UpnpInternals extends Gateway {
  getGateway (): Promise<{ run (device: string, action: string, args: Array<[string, string | number]>, options: object): Promise<unknown> }>
}
const WAN_CONNECTION = 'urn:schemas-upnp-org:service:WANIPConnection:2'

const task = workerData as MappingTask
const mapper = await import('@achingbrain/nat-port-mapper').catch(() => undefined)

const hosts = new Set<string>()
globalThis.fetch = boundedFetch(globalThis.fetch, hosts)

/** Removes the mapping. */
let remove: (() => Promise<void>) | undefined

/** What a gateway has made, in its words. */
type Asked = { host: string, port: number, remove: () => Promise<void> } | undefined

async function byNatPmp (): Promise<Asked> {
  const { gateway: host, address, port, lease } = task
  if (host === undefined || mapper === undefined) return undefined
  const ask = async <T>(how: (gateway: Gateway) => Promise<T>): Promise<T> => {
    const gateway = mapper.pmpNat(host) as PmpInternals
    gateway.on('error', () => {})
    const { onMessage } = gateway
    gateway.onMessage = (message, from) => {
      if (from.address === host && from.port === NAT_PMP_PORT && message.length >= (message[1] === 128 ? 12 : 16)) onMessage.call(gateway, message, from)
      else if (from.address === host && message.length >= 8 && message.readUInt16BE(2) !== 0) onMessage.call(gateway, message, from)
    }
    try {
      return await how(gateway)
    } finally {
      await gateway.stop().catch(() => {})
    }
  }
  const again = async <T>(how: (gateway: Gateway, signal: AbortSignal) => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries++) {
      try {
        return await ask((gateway) => how(gateway, timeLimit(TRY_TIME)))
      } catch (err) {
        if (tries === TRIES) throw err
      }
    }
  }
  // the package writes `ttl` as it is, where the protocol has seconds
  const options = { protocol: 'udp', autoRefresh: false } as const
  const { externalPort } = await again((gateway, signal) => gateway.map(port, address, { ...options, ttl: lease, signal }))
  const external = await again((gateway, signal) => gateway.externalIp({ signal }))
  return {
    host: external,
    port: externalPort,
    async remove () { await again((gateway, signal) => gateway.map(port, address, { ...options, ttl: 0, signal })) }
  }
}

async function byUpnp (): Promise<Asked> {
  const { address, port, lease } = task
  for (const location of await searchGateways(address, systemClock)) {
    hosts.clear()
    hosts.add(location.hostname)
    const signal = timeLimit(UPNP_TIME)
    const gateway = await mapper?.upnpNat().getGateway(location, { signal }).catch(() => undefined) as UpnpInternals | undefined
    if (gateway === undefined) continue
    const { externalPort } = await gateway.map(port, address, { protocol: 'udp', autoRefresh: false, ttl: lease * 1000, description: DESCRIPTION, signal })
    return {
      host: await gateway.externalIp({ signal }),
      port: externalPort,
      async remove () { // `unmap` of the package names no protocol, and the port of this side
        const device = await gateway.getGateway()
        await device.run(WAN_CONNECTION, 'DeletePortMapping', [['NewRemoteHost', ''], ['NewExternalPort', externalPort], ['NewProtocol', 'UDP']], { signal: timeLimit(UPNP_TIME) })
      }
    }
  }
}

async function map (): Promise<MappingResult> {
  if (mapper === undefined) return { kind: 'failed', reason: 'the package @achingbrain/nat-port-mapper is not installed' }
  const refusals: string[] = []
  for (const [by, ask] of [['nat-pmp', byNatPmp], ['upnp', byUpnp]] as const) {
    if (!task.protocols.includes(by)) continue
    const asked = await ask().catch((err) => { refusals.push(`${by}: ${String((err as Error)?.message).slice(0, 100)}`) })
    if (asked === undefined) continue
    remove = asked.remove
    const address = parseAddress(asked.host)
    if (address !== undefined && scopeOf(address) === 'public' && Number.isInteger(asked.port) && asked.port > 0 && asked.port <= 65_535) {
      return { kind: 'mapped', external: { host: asked.host, port: asked.port }, by }
    }
    await unmap()
    return address === undefined || !['private', 'shared'].includes(scopeOf(address))
      ? { kind: 'failed', reason: `${by}: the gateway names no endpoint` }
      : { kind: 'none', reason: `double NAT: the address of the gateway, ${asked.host}, is not public` }
  }
  return { kind: 'none', reason: refusals.length === 0 ? 'no gateway has answered' : refusals.join('; ') }
}

async function unmap (): Promise<MappingResult> {
  await remove?.().catch(() => {}) // its time will end
  remove = undefined
  return { kind: 'unmapped' }
}

parentPort?.on('message', (request: MappingRequest) => {
  const doing = request === 'map' ? map() : unmap()
  doing.then((result) => { parentPort?.postMessage(result) }, () => { parentPort?.postMessage({ kind: 'failed', reason: 'the request has failed' } satisfies MappingResult) })
})
