import { CandyPeer } from '../../nodes/candy/index.ts'
import { userspaceTun, openTun, type Tun } from '../../tun/index.ts'
import { endpointText } from '../../net/endpoint.ts'
import { reasonOf } from '../../text/printable.ts'
import { streamCapture } from '../control/capture-stream.ts'
import { CAPTURE_INTERFACES } from './capture.ts'
import { interfaceOf } from './interface-name.ts'
import type { CandyPeerSettings } from './options.ts'
import type { StartContext, Service } from '../protocol.ts'
import { ephemeralState, openPeerState } from './peer-state.ts'
import { readOriginalState } from './original/state.ts'
import { defaultStateDir } from '../state/state-dir.ts'
import { Warming } from './warming.ts'

/** The state of a peer without `--name`; names do not begin with an underscore. */
const UNNAMED = '_default'

/** Starts a candy peer. @throws an error of the interface */
export async function startCandyPeer ({ settings, isForeign, log, out }: StartContext<CandyPeerSettings>): Promise<Service> {
  const { address, name, mtu } = settings
  const warming = new Warming('peer')
  await warming.prepare()
  const throwaway = settings.tun === 'none' && name === undefined
  const state = throwaway ? ephemeralState() : await openPeerState(settings.stateDir ?? defaultStateDir(), name ?? UNNAMED, log, isForeign ? readOriginalState(name) : undefined)
  const tun = await openInterface(settings).catch(async (err) => {
    await state.close()
    throw err
  })
  const peer = new CandyPeer({ ...settings, tun, vmac: state.vmac, remembered: state.address, log })

  if (address === undefined) peer.on('online', (cidr) => { state.remember(cidr) }) // saved once the server has accepted it, and before the ready line
  peer.once('online', (cidr) => { out.ready('candy', `tun://${tun.name}/${cidr}`, tun.offloads.length === 0 ? {} : { offloads: tun.offloads }) })
  peer.on('online', (cidr) => { out.event('online', { protocol: 'candy', address: cidr }) })
  peer.on('offline', (err) => { out.event('offline', { protocol: 'candy', reason: reasonOf(err) }) })
  peer.on('address', (cidr) => { out.event('address', { protocol: 'candy', address: cidr }) })
  peer.on('path', (member, endpoint) => { out.event('path', { protocol: 'candy', member, endpoint: endpoint === undefined ? 'server' : endpointText(endpoint) }) })
  const failed = new Promise<never>((_resolve, reject) => { peer.once('failed', reject) })
  peer.once('online', () => { warming.start(() => peer.stats.packetsIn + peer.stats.packetsOut) }) // after the ready line
  peer.start()
  log.info({ interface: tun.name, mtu }, 'connecting')

  return {
    status: () => peer.status(),
    explain: (member) => peer.explain(member),
    capture: async (request, socket) => streamCapture(CAPTURE_INTERFACES, request, socket, (recorder) => peer.tap((packets, direction) => { recorder.record(packets, direction) })),
    failed,
    online: () => peer.isOnline,
    degraded: () => peer.isDegraded,
    register (metrics) {
      metrics.stats('tunpipe_candy', () => [{ labels: {}, stats: peer.stats }], ['routes'])
      const online = metrics.gauge({ name: 'tunpipe_candy_online', help: 'Now: 1 when connected', collect () { online.set(peer.state === 'online' ? 1 : 0) } })
      const lost = metrics.gauge({ name: 'tunpipe_candy_lost', help: 'Now: parts of the interface that another program has removed', collect () { lost.set(peer.lost.length) } })
      const members = metrics.gauge({
        name: 'tunpipe_candy_direct_members',
        help: 'Now: members that this peer has heard of, by the path to them',
        labelNames: ['path'],
        collect () {
          members.reset()
          for (const { path } of peer.status().members) members.inc({ path })
        }
      })
      const overlap = metrics.gauge({
        name: 'tunpipe_candy_overlap',
        help: 'Now: addresses and routes of the server that overlap NETWORK of INTERFACE of this machine, and are rejected',
        labelNames: ['network', 'interface'],
        collect () {
          overlap.reset()
          for (const { network, owner } of peer.overlaps) overlap.inc({ network, interface: owner })
        }
      })
    },
    async stop () {
      warming.stop()
      await peer.close()
      await tun.close()
      await state.close()
    }
  }
}

async function openInterface ({ tun, name, mtu, offload }: CandyPeerSettings): Promise<Tun> {
  if (tun === 'none') return userspaceTun({ name: 'none', mtu })
  return await openTun({ name: tun ?? interfaceOf(name), mtu, offload })
}
