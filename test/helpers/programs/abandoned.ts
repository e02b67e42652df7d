/** A test file of its own: relay and peer in namespaces, and a script with a child. It says what it has made, and waits for its end. */
import { dirname } from 'node:path'
import t from 'tap'
import { Lab } from '../network/namespaces.ts'
import { joined, startPeer, startRelay } from '../network/programs.ts'
import { newHome } from './homes.ts'
import { startCommand } from './program.ts'

const LISTEN = 'ws://192.0.2.1:8080'

export interface Left {
  pids: number[]
  namespaces: string[]
  folder: string
}

t.test('abandoned', async (t) => {
  const lab = new Lab(t)
  const [here, there] = [await lab.host('relay', '192.0.2.1/24'), await lab.host('peer', '192.0.2.2/24')]
  const relay = await startRelay(here, LISTEN)
  const stateDir = newHome()
  const peer = startPeer(there, { url: `${LISTEN}/`, stateDir })
  await joined(peer)
  const script = startCommand(t, 'sh', ['-c', 'sleep 1000 & echo "$!"; wait'])
  const [child] = await script.find(/^\d+/)
  const left: Left = { pids: [relay.pid, peer.pid, script.child.pid as number, Number(child)], namespaces: [here.name, there.name], folder: dirname(stateDir) }
  console.log(`left ${JSON.stringify(left)}`)
  await new Promise(() => { setInterval(() => {}, 2 ** 30) })
})
