/** The tunnels under test, each set up once and kept for the whole run: a path from `a` to `b`. */
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ADDRESS, type Lab, said } from './lab.ts'
import { pings, type Flow } from './load.ts'
import type { Contestant } from '../lib/row.ts'
import type { Namespace } from '../../test/helpers/network/namespaces.ts'
import { ca, cert, key } from '../../test/helpers/certificates.ts'

export interface Tunnel extends Flow, Contestant {
  encrypted: boolean
  /** It loses its connection when more comes than it can send. */
  breaksWhenFull?: boolean
}

/** A tunnel that can be ended before the run is over. */
export interface FreshTunnel extends Tunnel {
  /** Settles when its programs have ended. */
  stop (): Promise<void>
}

const program = (name: string): string => fileURLToPath(new URL(`../../dist/bin/${name}.js`, import.meta.url))
const PASSWORD = 'bench'

/** No tunnel at all. */
export const plain = ({ a, b }: Lab): Tunnel => ({ name: 'no tunnel', encrypted: false, from: a, to: b, address: ADDRESS.b })

/** Paths of certificates and a key, for this lab only. */
export function certificateFiles ({ folder }: Lab): { ca: string, cert: string, key: string } {
  const write = (name: string, text: string): string => {
    const file = join(folder, name)
    writeFileSync(file, text, { mode: 0o600 })
    return file
  }
  return { ca: write('ca.pem', ca), cert: write('cert.pem', cert), key: write('key.pem', key) }
}

/** Ends programs, and waits until they have ended. */
export async function ended (programs: readonly ChildProcess[]): Promise<void> {
  await Promise.all(programs.map(async (program) => {
    const exit = once(program, 'exit')
    program.kill()
    await exit
  }))
}

/** A relay between two peers. */
export async function candy (lab: Lab, scheme: 'ws' | 'wss'): Promise<FreshTunnel> { return (await candyPeers(lab, scheme, false)).tunnel }

/** The same with a direct path between the peers, which is there when it settles. */
export async function candyDirect (lab: Lab): Promise<FreshTunnel> {
  const { tunnel, peers } = await candyPeers(lab, 'ws', true)
  const direct = Promise.all(peers.map((peer) => said(peer, /"endpoint":"\d/)))
  await pings(tunnel, 5, 0.2)
  await direct
  return { ...tunnel, name: 'tunpipe, direct', encrypted: true, isOfDatagrams: true }
}

async function candyPeers (lab: Lab, scheme: 'ws' | 'wss', isDirect: boolean): Promise<{ tunnel: FreshTunnel, peers: ChildProcess[] }> {
  const { a, between, b } = lab
  const network = lab.nextNetwork()
  const port = 8000 + network
  const folder = join(lab.folder, String(network))
  mkdirSync(folder)
  const env = { ...process.env, TUNPIPE_PASSWORD: PASSWORD }
  const encrypted = scheme === 'wss'
  const files = certificateFiles(lab)
  const tls = encrypted ? ['--tls-cert', files.cert, '--tls-key', files.key] : []
  const relay = between.spawn(process.execPath, [program('relay'), 'candy', '--listen', `${scheme}://0.0.0.0:${port}`, '--control', join(folder, 'relay'), ...tls], { env })
  await said(relay, /ready candy/)
  const peer = async (host: Namespace, gateway: string, address: string, device: string): Promise<ChildProcess> => {
    const trust = encrypted ? ['--insecure'] : []
    const child = host.spawn(process.execPath, [program('peer'), 'candy', '--url', `${scheme}://${gateway}:${port}/`, '--address', `${address}/24`, '--tun', device, '--state-dir', join(folder, device), '--control', join(folder, `${device}.sock`), '--direct', isDirect ? 'on' : 'off', ...trust], { env })
    await said(child, /ready candy/)
    return child
  }
  const address = (last: number): string => `10.${network}.0.${last}`
  const peers = await Promise.all([peer(a, ADDRESS.toA, address(2), `c${network}a`), peer(b, ADDRESS.toB, address(3), `c${network}b`)])
  return { tunnel: { name: `tunpipe, ${scheme}`, ours: true, encrypted, from: a, to: b, address: address(3), stop: () => ended([relay, ...peers]) }, peers }
}

/** Two ends without a protocol: what a packet costs that is sealed and sent by UDP. */
export async function sealed (lab: Lab): Promise<Tunnel> {
  const { a, b } = lab
  const network = lab.nextNetwork()
  const port = String(9300 + network)
  const program = fileURLToPath(new URL('sealed-peer.js', import.meta.url))
  const env = { ...process.env, BENCH_KEY: randomBytes(32).toString('hex') }
  const start = async (host: Namespace, address: string, own: string, other: string): Promise<void> => {
    await said(host.spawn(process.execPath, [program, `s${network}${host === a ? 'a' : 'b'}`, `${address}/24`, own, port, other], { env }), /ready, sealed by openssl, UDP with batch, gso, gro/)
  }
  await Promise.all([start(a, `10.${network}.0.2`, ADDRESS.a, ADDRESS.b), start(b, `10.${network}.0.3`, ADDRESS.b, ADDRESS.a)])
  return { name: 'tunpipe, sealed UDP', ours: true, encrypted: true, isOfDatagrams: true, from: a, to: b, address: `10.${network}.0.3` }
}

/** Three socat in a row, each of which does nothing but pass bytes on: the least that two interfaces and a hop between them cost. Good for a ping at a time. */
export async function socat (lab: Lab): Promise<Tunnel> {
  const { a, between, b } = lab
  const network = lab.nextNetwork()
  const hop = between.spawn('socat', ['-d', '-d', 'TCP-LISTEN:9000,reuseaddr,nodelay', 'TCP-LISTEN:9001,reuseaddr,nodelay'])
  await said(hop, /listening on/)
  const end = (host: Namespace, address: string, to: string): ChildProcess => host.spawn('socat', ['-d', '-d', `TUN:${address}/24,up`, `TCP:${to},nodelay`])
  const first = end(a, `10.${network}.0.2`, `${ADDRESS.toA}:9000`)
  await Promise.all([said(first, /starting data transfer loop/), said(hop, /listening on.*9001/)])
  await said(end(b, `10.${network}.0.3`, `${ADDRESS.toB}:9001`), /starting data transfer loop/)
  return { name: 'three socat', encrypted: false, from: a, to: b, address: `10.${network}.0.3` }
}

/** Ways in which a program can wait for an interface, see `least.js`. */
export const WAYS = ['loop', 'restart', 'pipe', 'thread', 'worker', 'spin'] as const

/** The least that Node does between two interfaces, with one way of waiting for them. */
export async function least ({ a, between, b }: Lab, way: typeof WAYS[number]): Promise<Tunnel> {
  const index = WAYS.indexOf(way)
  const port = String(9100 + index)
  const program = fileURLToPath(new URL('least.js', import.meta.url))
  const start = async (host: Namespace, ...args: string[]): Promise<void> => { await said(host.spawn(process.execPath, [program, ...args]), /ready/) }
  await start(between, 'relay', port)
  await start(a, 'peer', way, ADDRESS.toA, port, `least${index}`, `10.90.${index}.2/24`)
  await start(b, 'peer', way, ADDRESS.toB, port, `least${index}`, `10.90.${index}.3/24`)
  return { name: `least in Node, ${way}`, encrypted: false, from: a, to: b, address: `10.90.${index}.3` }
}
