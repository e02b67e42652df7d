/** Two wireguard-go, without anything between them but routing. */
import type { ChildProcess } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { ADDRESS, type Lab, said } from './lab.ts'
import { ended, type FreshTunnel } from './tunnels.ts'

export async function wireguard (lab: Lab, binary: string, name: string): Promise<FreshTunnel> {
  const { a, b } = lab
  const network = lab.nextNetwork()
  const port = 51_000 + network
  const [first, second] = [`10.${network}.0.2`, `10.${network}.0.3`]
  const keys = [0, 1].map(() => {
    const { privateKey, publicKey } = generateKeyPairSync('x25519')
    // the last 32 bytes of either are the key itself
    return { private: privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-32).toString('hex'), public: publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex') }
  })
  const ends = [{ host: a, own: first, other: second, at: ADDRESS.b }, { host: b, own: second, other: first, at: ADDRESS.a }]
  const programs: ChildProcess[] = []
  for (const [i, { host, own, other, at }] of ends.entries()) {
    const device = `wg${process.pid % 10_000}x${network}${i}`
    const socket = `/var/run/wireguard/${device}.sock`
    lab.leftovers.push(socket)
    const child = host.spawn(binary, ['-f', device], { env: { ...process.env, WG_PROCESS_FOREGROUND: '1', LOG_LEVEL: 'verbose' } })
    programs.push(child)
    await said(child, /UAPI listener started/)
    await configure(socket, [`private_key=${keys[i].private}`, `listen_port=${port}`, `public_key=${keys[1 - i].public}`, `endpoint=${at}:${port}`, `allowed_ip=${other}/32`])
    await host.ip('addr', 'add', `${own}/24`, 'dev', device)
    await host.ip('link', 'set', device, 'mtu', '1400', 'up')
  }
  return { name, encrypted: true, isOfDatagrams: true, from: a, to: b, address: second, stop: () => ended(programs) }
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
