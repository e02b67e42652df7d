/** One member that stands still must cost the others nothing: neither their rate, nor the relay's memory. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Lab } from '../helpers/network/namespaces.ts'
import { joined, startPeer, startRelay } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { Agent, ping, reaches } from '../helpers/network/traffic.ts'

const LISTEN = 'ws://192.0.2.1:8080'
const METRICS = '127.0.0.1:9100'
const MIB = 1024 * 1024

/** What A sends to C. While rates are measured it is a load that hardly takes a CPU. */
const DATAGRAM = { size: 1200 }
const STEADY = { ...DATAGRAM, perSecond: 2000, count: 60_000 }

/** Fills every buffer on the way, with more than twice what fits into them, and fast. */
const FILL = { ...DATAGRAM, perSecond: 30_000, count: Math.floor(40 * MIB / DATAGRAM.size) }

/** Rounds of a comparison, and milliseconds of a measurement. */
const ROUNDS = 5
const WINDOW = 500

/** Comparisons until one has to show it: machines have other things to do as well. */
const COMPARISONS = 3

const LEAST_SHARE = 0.8
const MOST_GROWTH = 16 * MIB

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

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
    const sink = await d.agent.call('serveSink')

    const rate = (): Promise<number> => b.agent.call('rate', d.address, sink, WINDOW)
    const dropped = async (): Promise<number> => {
      const metrics = await observer.call('get', `http://${METRICS}/metrics`)
      return Number(/^tunpipe_candy_drops_total\{reason="queue"\} (\d+)$/m.exec(metrics)?.[1])
    }

    const fill = (): Promise<number> => a.agent.call('flood', c.address, discard, FILL)

    /** The rate from B to D while A sends to C, which stands still; and what the relay had to drop, before and meanwhile. */
    const whileStopped = async (): Promise<{ rate: number, drops: number[] }> => {
      const before = await dropped()
      c.peer.signal('SIGSTOP')
      try {
        await fill()
        const filled = await dropped()
        const sending = a.agent.call('flood', c.address, discard, STEADY)
        const measured = await rate()
        await a.agent.call('stopFlood')
        await sending
        return { rate: measured, drops: [filled - before, await dropped() - filled] }
      } finally {
        c.peer.signal('SIGCONT')
      }
    }

    const warm = await peakDuring(relay.pid, async () => {
      for (let round = 0; round < ROUNDS; round++) await rate()
      await fill()
    })
    t.ok(await reaches(a.host, c.address))

    for (let comparison = 1; ; comparison++) {
      const solo: number[] = []
      const stopped: number[] = []
      let peak = 0
      for (let round = 0; round < ROUNDS; round++) {
        solo.push(await rate())
        const measured = await peakDuring(relay.pid, whileStopped)
        stopped.push(measured.result.rate)
        peak = Math.max(peak, measured.peak)
        t.ok(measured.result.drops.every((drops) => drops > 0), `the relay counts what it drops: ${measured.result.drops.join(', then ')}`)
        t.ok(await reaches(a.host, c.address), 'C works again')
      }
      const share = median(stopped) / median(solo)
      const growth = peak - warm.peak
      t.comment(`${Math.round(median(solo) / MIB)} MiB/s, with C stopped ${Math.round(share * 100)} % of it; memory of the relay ${Math.round(growth / MIB)} MiB more`)
      if ((share < LEAST_SHARE || growth >= MOST_GROWTH) && comparison < COMPARISONS) continue
      t.ok(share >= LEAST_SHARE, `B to D keeps its rate: ${share}`)
      t.ok(growth < MOST_GROWTH, `the relay keeps its memory: ${growth}`)
      break
    }

    const echo = await c.agent.call('serveEcho')
    t.same(await a.agent.call('askEcho', c.address, echo, [1, 1000]), [])
    t.equal(await ping(c.host, b.address), 3)
    t.equal(c.peer.events.at(-1)?.event, 'online', 'C was never away')
  })
}
