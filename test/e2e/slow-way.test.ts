/** A way that is slower than what is sent through it: hardly anything waits for it, neither in the relay nor in what the kernel has taken. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { executable } from '../helpers/programs/executables.ts'
import { Lab, UPLINK, type Namespace } from '../helpers/network/namespaces.ts'
import { joined, startPeer, startRelayWith } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { Agent, ping } from '../helpers/network/traffic.ts'

const LISTEN = 'ws://192.0.2.1:8080'

/** Bytes a second of the way, and of what is sent, which slows down for nobody. */
const WAY = 2_500_000
const FLOOD = { size: 1200, perSecond: 5000, count: 1_000_000 }

/**
 * Bytes that may wait: 60 ms of the way, and the burst that comes before its rate is known, on a machine that runs other tests as well. The
 * kernel alone would take 4 MiB.
 */
const MOST = 2 * 1024 * 1024
const SAMPLES = 8

/** Who tells what waits, and from which sample on: a pong comes only when the burst before it has gone. */
const KNOWERS = [
  { name: 'the system', from: 0, hasKoffi: true, imports: [] },
  { name: 'pongs', from: 4, hasKoffi: false, imports: [new URL('../helpers/programs/without-koffi.js', import.meta.url).href] }
]

if (await canRun(t, ['tc', 'ss'])) {
  for (const { name, from, hasKoffi, imports } of KNOWERS) {
    await t.test(`a flood through a slow way, what waits is told by ${name}`, { timeout: 90_000 }, async (t) => {
      const lab = new Lab(t)
      const folder = t.testdir()
      const relayHost = await lab.host('relay', '192.0.2.1/24')
      if (!await relayHost.slow(UPLINK, WAY * 8, 16 * 1024)) {
        t.plan(0, 'this kernel has no token bucket filter')
        return
      }
      const control = join(folder, 'relay.sock')
      const relay = await startRelayWith({ imports }, relayHost, LISTEN, '--control', control)
      const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(async (name, i) => {
        const host = await lab.host(name, `192.0.2.${11 + i}/24`)
        return { host, agent: new Agent(host), address: await joined(startPeer(host, { url: `${LISTEN}/`, stateDir: join(folder, name) })) }
      }))
      const status = async (): Promise<{ queued: number, drops: number }> => {
        const text = await relayHost.run(process.execPath, executable('relay'), 'status', '--json', '--control', control)
        const [{ drops, networks: [{ members }] }] = JSON.parse(text).services
        return { queued: members.find(({ address }: any) => address === b.address).queued, drops: drops.queue }
      }

      const discard = await b.agent.call('serveDiscard')
      const flood = a.agent.call('flood', b.address, discard, FLOOD)
      const samples = []
      for (let i = 0; i < SAMPLES; i++) samples.push({ ...await status(), held: await heldFor(relayHost, '192.0.2.12') })
      t.equal(await ping(c.host, b.address), 3, 'pings of another peer get through')
      await a.agent.call('stopFlood')
      await flood
      t.equal((await readFile(`/proc/${relay.pid}/maps`, 'utf8')).includes('koffi'), hasKoffi)
      const queued = samples.map(({ queued }) => queued)
      t.ok(Math.max(...queued) > 0, `the way is full: ${queued.join(', ')} bytes wait`)
      t.ok(Math.max(...queued.slice(from)) < MOST, 'and little waits')
      t.ok((samples.at(-1)?.drops ?? 0) > 0, 'what is too much is dropped, and counted')
      const held = samples.map(({ held }) => held)
      t.ok(Math.max(...held.slice(from)) < MOST, `the kernel says so as well: ${held.join(', ')} bytes`)
    })
  }
}

/** Bytes that the kernel of a host holds for a connection to that address, as `ss` has it. */
async function heldFor (host: Namespace, address: string): Promise<number> {
  const out = await host.run('ss', '-Htn', 'dst', address)
  return Math.max(0, ...out.split('\n').map((line) => Number(line.trim().split(/\s+/)[2] ?? 0)))
}
