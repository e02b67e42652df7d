/** The original candy, where `CANDY_BIN` names it: two clients and a server of it between them, which carries their packets or only introduces them. */
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ADDRESS, type Lab, said } from './lab.ts'
import { pings } from './load.ts'
import { ended, type FreshTunnel } from './tunnels.ts'
import { CANDY_BIN, originalCommand, type OriginalOptions } from '../../test/helpers/candy/original.ts'
import type { Namespace } from '../../test/helpers/network/namespaces.ts'
import { Agent } from '../../test/helpers/network/traffic.ts'
import type { UdpCommands } from '../../test/helpers/network/udp-agent.ts'

const UDP_AGENT = fileURLToPath(new URL('../../test/helpers/network/udp-agent.ts', import.meta.url))

export async function originalCandy (lab: Lab, way: 'relayed' | 'direct'): Promise<FreshTunnel> {
  const { a, between, b } = lab
  const network = lab.nextNetwork()
  const [port, stunPort] = [8000 + network, 3400 + network]
  const programs: ChildProcess[] = []
  const start = async (host: Namespace, options: OriginalOptions, ready: RegExp, folder: string): Promise<ReturnType<Namespace['spawn']>> => {
    const child = host.spawn(...originalCommand(String(CANDY_BIN), { password: 'bench', debug: true, ...options }, join(lab.folder, `${network}-${folder}`)))
    programs.push(child)
    await said(child, ready)
    return child
  }
  await start(between, { mode: 'server', websocket: `ws://0.0.0.0:${port}` }, /listen/i, 'server')
  const stun = way === 'direct' ? new Agent<UdpCommands>(between, UDP_AGENT) : undefined
  await stun?.call('serveStun', '0.0.0.0', stunPort)
  const client = (host: Namespace, gateway: string, last: number): ReturnType<typeof start> => start(host, {
    mode: 'client',
    websocket: `ws://${gateway}:${port}`,
    name: String(network),
    tun: `10.${network}.0.${last}/24`,
    ...way === 'direct' ? { stun: `stun://${gateway}:${stunPort}` } : {}
  }, /start thread: tun$/m, String(last))
  const clients = await Promise.all([client(a, ADDRESS.toA, 2), client(b, ADDRESS.toB, 3)])
  const tunnel: FreshTunnel = {
    name: `candy, ${way}`,
    encrypted: way === 'direct',
    isOfDatagrams: way === 'direct',
    breaksWhenFull: way === 'relayed',
    from: a,
    to: b,
    address: `10.${network}.0.3`,
    stop: () => ended(stun === undefined ? programs : [...programs, stun.process])
  }
  if (way === 'direct') {
    const found = Promise.all(clients.map((child) => said(child, /=> CONNECTED/)))
    await pings(tunnel, 3, 0.2)
    await found
  }
  return tunnel
}
