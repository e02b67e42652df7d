/** The same network over TLS. */
import { join } from 'node:path'
import t from 'tap'
import { ca, cert, key } from '../helpers/certificates.ts'
import { Lab } from '../helpers/network/namespaces.ts'
import { DEVICE, joined, startPeer, startRelay } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { ping } from '../helpers/network/traffic.ts'

if (await canRun(t, ['mount'])) {
  await t.test('wss', { timeout: 60_000 }, async (t) => {
    const lab = new Lab(t)
    // the certificate is for this name, so on these hosts the relay has it
    const folder = t.testdir({ 'cert.pem': cert, 'key.pem': key, 'ca.pem': ca, hosts: '192.0.2.1 localhost\n' })
    const at = (name: string): string => join(folder, name)
    const relayHost = await lab.host('relay', '192.0.2.1/24')
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name, i) => lab.host(name, `192.0.2.${11 + i}/24`)))
    await startRelay(relayHost, 'wss://192.0.2.1:8443', '--tls-cert', at('cert.pem'), '--tls-key', at('key.pem'))
    const init = { url: 'wss://localhost:8443/', hosts: at('hosts') }

    await t.test('with the authority that signed its certificate', async (t) => {
      const args = ['--ca', at('ca.pem')]
      const [addressOfA, addressOfB] = await Promise.all([
        joined(startPeer(a, { ...init, stateDir: at('a'), args })),
        joined(startPeer(b, { ...init, stateDir: at('b'), args }))
      ])
      t.equal(await ping(a, addressOfB), 3)
      t.equal(await ping(b, addressOfA), 3)
    })

    await t.test('without it', async (t) => {
      const peer = startPeer(c, { ...init, stateDir: at('c') })
      for (let attempt = 1; attempt <= 2; attempt++) t.match(await peer.event('offline'), { reason: /certificate/ }, `attempt ${attempt}`)
      t.notOk(peer.events.some(({ event }) => event === 'ready' || event === 'online' || event === 'address'))
      t.same((await c.interface(DEVICE))?.addresses, [], 'an interface without an address')
      t.equal(await peer.stop(), 0)
    })

    await t.test('under another name', async (t) => {
      const peer = startPeer(c, { url: 'wss://192.0.2.1:8443/', stateDir: at('d'), args: ['--ca', at('ca.pem')] })
      t.match(await peer.event('offline'), { reason: /192\.0\.2\.1/ })
      t.equal(await peer.stop(), 0)
    })
  })
}
