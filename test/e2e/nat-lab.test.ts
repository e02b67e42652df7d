/** The laboratory of homes behind routers does what it says. */
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { NatLab, RELAY_HOST, SECOND_HOST, type Home, type HomeInit } from '../helpers/network/nat-lab.ts'
import type { Namespace } from '../helpers/network/namespaces.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { Agent, ping } from '../helpers/network/traffic.ts'
import type { UdpCommands } from '../helpers/network/udp-agent.ts'

const AGENT = fileURLToPath(new URL('../helpers/network/udp-agent.ts', import.meta.url))
const PORT = 4000

/** Milliseconds within which what comes has come: all is on one machine. */
const PATIENCE = 2000
const SILENCE = 100
const PATIENCE_OF_LOSS = 30

/** A socket on port 4000 of a host. */
class Talker {
  readonly host: Namespace
  readonly #agent: Agent<UdpCommands>

  private constructor (host: Namespace, agent: Agent<UdpCommands>) {
    this.host = host
    this.#agent = agent
  }

  static async on (host: Namespace, address = '0.0.0.0', port = PORT): Promise<Talker> {
    const agent = new Agent<UdpCommands>(host, AGENT)
    await agent.call('bind', address, port)
    return new Talker(host, agent)
  }

  say (to: string): Promise<void> {
    const [host, port] = to.split(':')
    return this.#agent.call('say', 0, host, Number(port))
  }

  /** Where it has heard from: one place at most. */
  async heard (patience = PATIENCE): Promise<string> { return (await this.#agent.call('heard', 0, patience)).join() }

  /** Says something to others that hear it; where it comes from. */
  async seenBy (other: Talker, at: string): Promise<string> {
    await this.say(at)
    return await other.heard()
  }
}

interface Two {
  lab: NatLab
  a: Home
  b: Home
  one: Talker
  two: Talker
  /** Two servers. */
  first: Talker
  second: Talker
}

const FIRST = `${RELAY_HOST}:${PORT}`
const SECOND = `${SECOND_HOST}:${PORT}`

async function two (t: Test, ofA: HomeInit = {}, ofB: HomeInit = {}): Promise<Two> {
  const lab = await NatLab.open(t)
  const [a, b] = [await lab.home('a', ofA), await lab.home('b', ofB)]
  const [one, two] = [await Talker.on(await a.host('one')), await Talker.on(await b.host('two'))]
  return { lab, a, b, one, two, first: await Talker.on(lab.internet, RELAY_HOST), second: await Talker.on(lab.internet, SECOND_HOST) }
}

if (await canRun(t, ['nft'])) {
  await t.test('home routers: one port for all destinations, and a way between two that both have opened', { timeout: 60_000 }, async (t) => {
    const { lab, a, b, one, two: other, first, second } = await two(t)
    const [atA, atB] = [`${a.address}:${PORT}`, `${b.address}:${PORT}`]
    t.equal(await one.seenBy(first, FIRST), atA)
    t.equal(await one.seenBy(second, SECOND), atA)
    t.equal(await other.seenBy(first, FIRST), atB)
    await first.say(atA)
    t.equal(await one.heard(), FIRST, 'an answer')
    await other.say(atA)
    t.equal(await one.heard(SILENCE), '', 'a stranger')
    t.same(await lab.passing(async () => { t.equal(await one.seenBy(other, atB), atA) }), { direct: 29, relayed: 0 }, 'the other has opened it')
    await other.say(atA)
    t.equal(await one.heard(), atB)

    await lab.cut(a, b)
    await one.say(atB)
    t.equal(await other.heard(SILENCE), '', 'cut')
    await other.say(atA)
    t.equal(await one.heard(), atB, 'not the way back')
    await lab.cut(b, a)
    await other.say(atA)
    t.equal(await one.heard(SILENCE), '')
    t.equal(await one.seenBy(first, FIRST), atA, 'nor the way to a server')
    await lab.mend()
    t.equal(await one.seenBy(other, atB), atA)

    await lab.block('udp', PORT)
    await one.say(FIRST)
    t.equal(await first.heard(SILENCE), '')
    await lab.unblock()
    t.equal(await one.seenBy(first, FIRST), atA)
  })

  await t.test('symmetric routers: a port for each destination', { timeout: 60_000 }, async (t) => {
    const { a, one, first, second } = await two(t, { kind: 'symmetric' })
    const [here, there] = [await one.seenBy(first, FIRST), await one.seenBy(second, SECOND)]
    t.match([here, there], [`${a.address}:`, `${a.address}:`])
    t.not(here, there)
  })

  await t.test('restricted routers: whoever has an address that was sent to, by any port', { timeout: 60_000 }, async (t) => {
    const { lab, a, b, one, two: other, first } = await two(t, { kind: 'restricted', forwarded: { [PORT]: 2 } })
    const at = `${a.address}:${PORT}`
    t.equal(await one.seenBy(first, FIRST), at)
    await other.say(at)
    t.equal(await one.heard(SILENCE), '', 'a stranger')
    const elsewhere = await Talker.on(lab.internet, RELAY_HOST, PORT + 1)
    t.equal(await elsewhere.seenBy(one, at), `${RELAY_HOST}:${PORT + 1}`)
    t.equal(await one.seenBy(other, `${b.address}:${PORT}`), at, 'which has opened its own router before')
    await other.say(at)
    t.equal(await one.heard(), `${b.address}:${PORT}`)
  })

  await t.test('loss, between homes and on both ways to the internet host', { timeout: 60_000 }, async (t) => {
    const { lab, a, b, one, two: other, first } = await two(t, { forwarded: { [PORT]: 2 } }, { forwarded: { [PORT]: 2 } })
    const ways: ReadonlyArray<readonly [Talker, string, Talker]> = [[one, `${b.address}:${PORT}`, other], [one, FIRST, first], [first, `${a.address}:${PORT}`, one]]
    const arrived = async ([from, to, at]: (typeof ways)[number]): Promise<number> => {
      let count = 0
      for (let i = 0; i < 25; i++) {
        await from.say(to)
        if (await at.heard(PATIENCE_OF_LOSS) !== '') count++
      }
      return count
    }
    await lab.lose(50)
    for (const way of ways) {
      const count = await arrived(way)
      t.ok(count > 0 && count < 25, `${count} of 25`)
    }
    await lab.loseNothing()
    for (const way of ways) t.equal(await arrived(way), 25)
  })

  await t.test('a forwarded port: whoever wants to reaches it, from inside as well', { timeout: 60_000 }, async (t) => {
    const { a, one, two: other, first } = await two(t, { forwarded: { [PORT]: 2 }, hairpin: true }, { kind: 'none' })
    await other.say(`${a.address}:${PORT}`)
    t.match(await one.heard(), /^198\.51\.\d+\.2:4000$/, 'where no router translates')
    t.equal(await one.seenBy(first, FIRST), `${a.address}:${PORT}`)
    const neighbour = await Talker.on(await a.host('neighbour', 3))
    await neighbour.say(`${a.address}:${PORT}`)
    const seen = await one.heard()
    t.match(seen, `${a.address}:`, 'a neighbour by the outer address')
    t.equal(await one.seenBy(neighbour, seen), `${a.address}:${PORT}`)
  })

  await t.test('hosts of one home reach each other by themselves, and not by the outer address', { timeout: 60_000 }, async (t) => {
    const { lab, a, one, first } = await two(t)
    const neighbour = await Talker.on(await a.host('neighbour', 3))
    t.same(await lab.passing(async () => { t.equal(await neighbour.seenBy(one, `192.168.11.2:${PORT}`), `192.168.11.3:${PORT}`) }), { direct: 0, relayed: 0 })
    t.equal(await one.seenBy(first, FIRST), `${a.address}:${PORT}`)
    await neighbour.say(`${a.address}:${PORT}`)
    t.equal(await one.heard(SILENCE), '')
  })

  await t.test('TCP to the internet host is counted as relayed', { timeout: 60_000 }, async (t) => {
    const lab = await NatLab.open(t)
    const host = await (await lab.home('a')).host('one')
    const [sink, sender] = [new Agent(lab.internet), new Agent(host)]
    const port = await sink.call('serveSink')
    t.equal(await ping(host, RELAY_HOST), 3)
    const { direct, relayed } = await lab.passing(() => sender.call('exchange', RELAY_HOST, port, 100_000))
    t.equal(direct, 0)
    t.ok(relayed > 100_000)
  })
}
