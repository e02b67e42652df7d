/** The tunnels under test, each set up once and kept for the whole run: a path from `a` to `b`, and whether it is encrypted. */
import type { ChildProcess } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ADDRESS, type Lab, said } from './lab.ts'
import type { Flow } from './load.ts'
import type { Namespace } from '../../test/e2e/namespaces.ts'
import { ca, cert, key } from '../../test/helpers/certificates.ts'

export interface Tunnel extends Flow {
  name: string
  isEncrypted: boolean
}

const program = (name: string): string => fileURLToPath(new URL(`../../dist/bin/${name}.js`, import.meta.url))
const PASSWORD = 'bench'

/** No tunnel at all. */
export const plain = ({ a, b }: Lab): Tunnel => ({ name: 'no tunnel', isEncrypted: false, from: a, to: b, address: ADDRESS.b })

let networks = 0

/** A relay between two peers. */
export async function candy ({ a, between, b }: Lab, scheme: 'ws' | 'wss', name = `candy, ${scheme}`): Promise<Tunnel> {
  const network = 77 + networks++
  const port = 8000 + network
  const folder = mkdtempSync(join(tmpdir(), 'tunpipe-bench-'))
  const files = Object.fromEntries(Object.entries({ ca, cert, key }).map(([name, text]) => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return [name, file]
  }))
  const env = { ...process.env, TUNPIPE_PASSWORD: PASSWORD }
  const isEncrypted = scheme === 'wss'
  const tls = isEncrypted ? ['--tls-cert', files.cert, '--tls-key', files.key] : []
  const relay = between.spawn(process.execPath, [program('relay'), 'candy', '--listen', `${scheme}://0.0.0.0:${port}`, '--control', join(folder, 'relay'), ...tls], { env })
  await said(relay, /ready candy/)
  const peer = async (host: Namespace, gateway: string, address: string, device: string): Promise<void> => {
    const trust = isEncrypted ? ['--insecure'] : []
    const child = host.spawn(process.execPath, [program('peer'), 'candy', '--url', `${scheme}://${gateway}:${port}/`, '--address', `${address}/24`, '--tun', device, '--state-dir', join(folder, device), '--control', join(folder, `${device}.sock`), ...trust], { env })
    await said(child, /ready candy/)
  }
  const address = (last: number): string => `10.${network}.0.${last}`
  await peer(a, ADDRESS.toA, address(2), `c${network}a`)
  await peer(b, ADDRESS.toB, address(3), `c${network}b`)
  return { name, isEncrypted, from: a, to: b, address: address(3) }
}

/** Three socat in a row, each of which does nothing but pass bytes on: the least that two interfaces and a hop between them cost. Good for a ping at a time. */
export async function socat ({ a, between, b }: Lab): Promise<Tunnel> {
  const hop = between.spawn('socat', ['-d', '-d', 'TCP-LISTEN:9000,reuseaddr,nodelay', 'TCP-LISTEN:9001,reuseaddr,nodelay'])
  await said(hop, /listening on/)
  const end = (host: Namespace, address: string, to: string): ChildProcess => host.spawn('socat', ['-d', '-d', `TUN:${address}/24,up`, `TCP:${to},nodelay`])
  const first = end(a, '10.88.0.2', `${ADDRESS.toA}:9000`)
  await Promise.all([said(first, /starting data transfer loop/), said(hop, /listening on.*9001/)])
  await said(end(b, '10.88.0.3', `${ADDRESS.toB}:9001`), /starting data transfer loop/)
  return { name: 'three socat', isEncrypted: false, from: a, to: b, address: '10.88.0.3' }
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
  return { name: `least in Node, ${way}`, isEncrypted: false, from: a, to: b, address: `10.90.${index}.3` }
}

/** Two wireguard-go, without anything between them but routing. */
export async function wireguard ({ a, b }: Lab, binary = 'wireguard-go', name = 'wireguard-go, direct'): Promise<Tunnel> {
  const device = `wg${process.pid % 10_000}${networks++}`
  const keys = [0, 1].map(() => {
    const { privateKey, publicKey } = generateKeyPairSync('x25519')
    // the last 32 bytes of either are the key itself
    return { private: privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-32).toString('hex'), public: publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex') }
  })
  const ends = [{ host: a, own: '10.66.0.2', other: '10.66.0.3', at: ADDRESS.b }, { host: b, own: '10.66.0.3', other: '10.66.0.2', at: ADDRESS.a }]
  for (const [i, { host, own, other, at }] of ends.entries()) {
    const child = host.spawn(binary, ['-f', `${device}${i}`], { env: { ...process.env, WG_PROCESS_FOREGROUND: '1', LOG_LEVEL: 'verbose' } })
    await said(child, /UAPI listener started/)
    await configure(`/var/run/wireguard/${device}${i}.sock`, [
      `private_key=${keys[i].private}`, 'listen_port=51820', `public_key=${keys[1 - i].public}`, `endpoint=${at}:51820`, `allowed_ip=${other}/32`
    ])
    await host.ip('addr', 'add', `${own}/24`, 'dev', `${device}${i}`)
    await host.ip('link', 'set', `${device}${i}`, 'mtu', '1400', 'up')
  }
  return { name, isEncrypted: true, from: a, to: b, address: '10.66.0.3' }
}

/** The protocol by which wireguard programs are told what to do, as there is no need for another program then. */
async function configure (socket: string, lines: string[]): Promise<void> {
  const client = connect(socket)
  await once(client, 'connect')
  client.write(`set=1\n${lines.join('\n')}\n\n`)
  const [answer] = await once(client, 'data')
  client.destroy()
  if (!String(answer).includes('errno=0')) throw new Error(`wireguard: ${String(answer)}`)
}
