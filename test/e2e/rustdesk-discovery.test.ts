/** `peer rustdesk discover` and `serve --discoverable on` in one network. */
import t from 'tap'
import { NatLab } from '../helpers/network/nat-lab.ts'
import type { Namespace } from '../helpers/network/namespaces.ts'
import { Program } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { executable } from '../helpers/programs/executables.ts'

const KEY = Buffer.alloc(32, 7).toString('base64')

if (await canRun(t, ['nft'])) {
  await t.test('those that want to be found are', { timeout: 100_000 }, async (t) => {
    const home = await (await NatLab.open(t)).home('home')
    const [asker, found, silent] = [await home.host('asker', 2), await home.host('found', 3), await home.host('silent', 4)]
    const serve = async (host: Namespace, id: string, ...args: string[]): Promise<void> => {
      const peer = new Program(host, 'peer', ['serve', '--server', '192.0.2.1', '--key', KEY, '--id', id, '--to', '9', '--allow', 'friend-1', ...args], { protocol: 'rustdesk' })
      await peer.event('unregistered') // there is no server, and it listens
    }
    await Promise.all([serve(found, '123456789', '--discoverable', 'on'), serve(silent, '987654321')])
    const discover = async (...args: string[]): Promise<any> => JSON.parse(await asker.run(process.execPath, executable('peer'), 'rustdesk', 'discover', '--timeout', '2', '--json', ...args))
    const peers = [{ address: '192.168.11.3:21119', id: '123456789', platform: 'Linux', username: '', mac: '' }]
    const { peers: all } = await discover()
    t.match(all, peers, 'each network of this machine')
    t.equal(all.length, 1)
    t.match(await discover('--broadcast', '192.168.11.3'), { peers }, 'one machine')
    t.same(await discover('--broadcast', '192.168.11.4'), { peers: [] })
    const text = await asker.run(process.execPath, executable('peer'), 'rustdesk', 'discover', '--timeout', '2')
    t.match(text, /^ID +NAME +USER +SYSTEM +ADDRESS\n123456789 .*Linux +192\.168\.11\.3:21119\n$/)
  })
}
