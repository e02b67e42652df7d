/** One member that stands still must not hold up the others, nor fill the relay's memory. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Lab } from '../helpers/network/namespaces.ts'
import { joined, startPeer, startRelay } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { Agent, eventually, exchangeEqual, ping, reaches } from '../helpers/network/traffic.ts'

const LISTEN = 'ws://192.0.2.1:8080'
const METRICS = '127.0.0.1:9100'
const MIB = 1024 * 1024

/** What A sends to C while others exchange something: a load that hardly takes a CPU. */
const DATAGRAM = { size: 1200 }
const STEADY = { ...DATAGRAM, perSecond: 2000, count: 60_000 }

/** Fills every buffer on the way, with more than twice what fits into them, and fast. */
const FILL = { ...DATAGRAM, perSecond: 30_000, count: Math.floor(40 * MIB / DATAGRAM.size) }

const ROUNDS = 2

/** What B and D exchange in each round, in either direction. */
const EXCHANGED = 16 * MIB

/** Less than what A sends in one round, of which the relay would keep what it does not drop; what a heap grows by itself is less. */
const MOST_GROWTH = 32 * MIB

function residentBytes (pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

/** Runs `act`, and tells the most memory that a process had meanwhile. */
async function peakDuring<R> (pid: number, act: () => Promise<R>): Promise<{ result: R, peak: number }> {
  let peak = residentBytes(pid)
  const timer = setInterval(() => { peak = Math.max(peak, residentBytes(pid)) }, 20)
  try {
    return { result: await act(), peak }
  } finally {
    clearInterval(timer)
  }
}

if (await canRun(t)) {
  await t.test('a stopped peer', { timeout: 110_000 }, async (t) => {
    const lab = new Lab(t)
    const states = t.testdir()
    const relayHost = await lab.host('relay', '192.0.2.1/24')
    const observer = new Agent(relayHost)
    const relay = await startRelay(relayHost, LISTEN, '--metrics', METRICS)
    const [a, b, c, d] = await Promise.all(['a', 'b', 'c', 'd'].map(async (name, i) => {
      const host = await lab.host(name, `192.0.2.${11 + i}/24`)
      const agent = new Agent(host)
      const peer = startPeer(host, { url: `${LISTEN}/`, stateDir: join(states, name) })
      return { host, agent, peer, address: await joined(peer) }
    }))
    const discard = await c.agent.call('serveDiscard')
    const dropped = async (): Promise<number> => {
      const metrics = await observer.call('get', `http://${METRICS}/metrics`)
      return Number(/^tunpipe_candy_drops_total\{reason="queue"\} (\d+)$/m.exec(metrics)?.[1])
    }

    const fill = (): Promise<number> => a.agent.call('flood', c.address, discard, FILL)

    /** A sends to C, which stands still, while B and D exchange something. What the relay had to drop: before that, and meanwhile. */
    const whileStopped = async (): Promise<number[]> => {
      const before = await dropped()
      c.peer.signal('SIGSTOP')
      try {
        await fill()
        const filled = await dropped()
        const sending = a.agent.call('flood', c.address, discard, STEADY)
        await exchangeEqual(t, b, d, EXCHANGED)
        t.ok(await eventually(async () => await dropped() > filled), 'C has stood still all the time')
        await a.agent.call('stopFlood')
        await sending
        return [filled - before, await dropped() - filled]
      } finally {
        c.peer.signal('SIGCONT')
      }
    }

    const warm = await peakDuring(relay.pid, async () => {
      await exchangeEqual(t, b, d, EXCHANGED)
      await fill()
    })
    t.ok(await reaches(a.host, c.address))

    for (let round = 0; round < ROUNDS; round++) {
      const { result: drops, peak } = await peakDuring(relay.pid, whileStopped)
      t.ok(drops.every((count) => count > 0), `the relay counts what it drops: ${drops.join(', then ')}`)
      t.ok(peak - warm.peak < MOST_GROWTH, `the relay keeps its memory: ${Math.round((peak - warm.peak) / MIB)} MiB more`)
      t.ok(await reaches(a.host, c.address), 'C works again')
    }

    const echo = await c.agent.call('serveEcho')
    t.same(await a.agent.call('askEcho', c.address, echo, [1, 1000]), [])
    t.equal(await ping(c.host, b.address), 3)
    t.equal(c.peer.events.at(-1)?.event, 'online', 'C was never away')
  })
}
