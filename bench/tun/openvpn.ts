/** Two openvpn in user space, without anything between them but routing, with certificates as its users have them. */
import { spawnSync } from 'node:child_process'
import { ADDRESS, type Lab, said } from './lab.ts'
import { certificateFiles, type Tunnel } from './tunnels.ts'
import type { Namespace } from '../../test/helpers/network/namespaces.ts'

export async function openvpn (lab: Lab, protocol: 'UDP' | 'TCP'): Promise<Tunnel> {
  const { a, b } = lab
  const network = lab.nextNetwork()
  const port = String(1000 + network)
  const { ca, cert, key } = certificateFiles(lab)
  // without the kernel's help, as the others; versions that cannot have it do not know the option
  const inUserSpace = spawnSync('openvpn', ['--version'], { encoding: 'utf8' }).stdout.includes('[DCO]') ? ['--disable-dco'] : []
  const [own, other] = [`10.${network}.0.2`, `10.${network}.0.3`]
  const start = (host: Namespace, addresses: string[], role: string[]): Promise<string> => {
    const child = host.spawn('openvpn', ['--dev', `ovpn${network}`, '--dev-type', 'tun', '--ifconfig', ...addresses, '--ca', ca, '--cert', cert, '--key', key, '--data-ciphers', 'AES-256-GCM', ...inUserSpace, ...role])
    return said(child, /Initialization Sequence Completed/)
  }
  const server = start(b, [other, own], ['--tls-server', '--dh', 'none', '--proto', protocol === 'UDP' ? 'udp' : 'tcp-server', '--lport', port])
  const client = start(a, [own, other], ['--tls-client', '--nobind', '--proto', protocol === 'UDP' ? 'udp' : 'tcp-client', '--remote', ADDRESS.b, port])
  await Promise.all([server, client])
  return { name: `openvpn, ${protocol}`, encrypted: true, isOfDatagrams: protocol === 'UDP', from: a, to: b, address: other }
}
