/** A session outlives its paths: other mappings of NATs, and proxies that start over, in the middle of a transfer (SHOW CHAIN protocol, section 7.4). */
import t from 'tap'
import { sample } from '../../../helpers/sample.ts'
import { bytesOf, digest, online, pathOf, SERVICE, stage, T, TABLE, user, type Scene, type Stage } from '../../../helpers/showchain/stage.ts'

type Kind = 0 | 1 | 2 | 3 | 4

/** 0: no NAT, which counts as T1. */
const KINDS = [0, 1, 2, 3, 4] as const
const natOf = (kind: Kind): (typeof T)[1 | 2 | 3 | 4] | undefined => kind === 0 ? undefined : T[kind]
const pathBetween = (near: Kind, far: Kind): string => TABLE[Math.max(0, near - 1)][Math.max(0, far - 1)]

interface Case {
  near: Kind
  far: Kind
  /** Whose NAT gives other mappings. */
  who: 'R' | 'T' | 'both'
  /** R sends, else T. */
  isUp: boolean
}

const CASES: Case[] = (['T', 'R', 'both'] as const).flatMap((who) => KINDS.flatMap((near) => KINDS.flatMap((far) => [true, false].flatMap((isUp): Case[] => {
  const isMoot = (who !== 'T' && near === 0) || (who !== 'R' && far === 0)
  return isMoot ? [] : [{ near, far, who, isUp }]
}))))

const SIZE = 400_000

async function opened (scene: Scene): Promise<{ made: Stage, failures: Error[] }> {
  const made = await stage(scene)
  const failures: Error[] = []
  made.client.peer.on('offline', (_id, err) => { failures.push(err) })
  await online(made)
  return { made, failures }
}

/** Sends from one end to the other. `onHalf` is called in the middle. @returns whether all has come, once and in order */
async function transferred (made: Stage, isUp: boolean, onHalf: () => void): Promise<boolean> {
  const { world: { clock } } = made
  const [here, there] = await user(made)
  const [from, to] = isUp ? [here, there] : [there, here]
  let isPast = false
  const [got, sent] = await clock.until(Promise.all([
    digest(to.source, (bytes) => {
      if (isPast || bytes < SIZE / 4) return
      isPast = true
      onHalf()
    }).catch((err: Error) => err.message),
    digest(bytesOf(SIZE, 1)),
    from.sink(bytesOf(SIZE, 1)).catch(() => {})
  ]), { within: 600_000 })
  return isPast && got === sent
}

/** As when its process was killed: nobody is told. */
async function restart (made: Stage): Promise<void> {
  const { world, server: { host, peer } } = made
  const heal = world.network.partition([host])
  await peer.close()
  await world.clock.pass(4000)
  heal()
  made.server = await world.peerOn(host, 'b', { to: SERVICE, allow: 'any' })
}

/** What has gone wrong; undefined: nothing. */
async function rebound ({ near, far, who, isUp }: Case, seed: number): Promise<unknown> {
  const { made, failures } = await opened({ nats: [natOf(near), natOf(far)], seed })
  const expected = pathBetween(near, far)
  await made.world.clock.until(() => pathOf(made) === expected, { within: 600_000 })
  const isIntact = await transferred(made, isUp, () => {
    if (who !== 'T') made.client.nat?.forget()
    if (who !== 'R') made.server.nat?.forget()
  })
  const comes = await made.world.clock.until(() => pathOf(made) === expected, { within: 600_000 }).then(() => true, () => false)
  const history = made.client.peer.explain(made.server.peer.id)?.history.map(({ text }) => text)
  await made.world.close()
  const isRight = isIntact && failures.length === 0 && comes
  return isRight ? undefined : { near, far, who, isUp, seed, isIntact, failures: failures.map(({ message }) => message), path: comes ? expected : 'another one', history }
}

t.test('a NAT gives other mappings in the middle of a transfer', { timeout: 3_600_000 }, async (t) => {
  const count = sample('cases', { short: 6, long: CASES.length })
  const wrong: unknown[] = []
  for (let i = 0; i < count; i++) {
    const found = await rebound(CASES[Math.floor(i * CASES.length / count)], i + 1)
    if (found !== undefined) wrong.push(found)
  }
  t.same(wrong, [])
})

t.test('all proxies start over in the middle of a transfer', async (t) => {
  for (const isUp of [true, false]) {
    for (const pause of [0, 6000]) { // so that the next keep-alive would come soon, or late
      const { made, failures } = await opened({ nats: [T[4], T[4]] })
      const { world: { clock }, world } = made
      t.equal(pathOf(made), 'proxy')
      await clock.pass(pause)
      let restartedAt = Infinity
      const isIntact = await transferred(made, isUp, () => {
        restartedAt = clock.now()
        void world.restartRelays()
      })
      const took = clock.now() - restartedAt
      t.ok(isIntact, isUp ? 'R sends' : 'T sends')
      t.same(failures, [])
      t.ok(took < 16_000, `${took} ms after ${pause} ms`)
      await world.close()
    }
  }
})

t.test('a NAT gives other mappings while nothing is sent', async (t) => {
  for (const who of ['client', 'server'] as const) {
    const { made, failures } = await opened({ nats: [T[1], T[2]] })
    const { world: { clock } } = made
    const [here, there] = await user(made)
    await clock.pass(60_000)
    made[who].nat?.forget()
    await clock.pass(60_000)
    const received = digest(there.source)
    await clock.until(here.sink(bytesOf(1000, 1)), { within: 1000 })
    t.equal(await clock.until(received, { within: 1000 }), await digest(bytesOf(1000, 1)), `that of the ${who}`)
    t.same(failures, [])
    await made.world.close()
  }
})

t.test('no path is found any more: the session ends in time', async (t) => {
  const { made, failures } = await opened({ nats: [T[2], T[2]] })
  t.teardown(() => made.world.close())
  const { world: { clock, network }, client, server } = made
  await user(made)
  const heal = network.partition([server.host])
  await clock.pass(40_000)
  t.same(failures, [])
  await clock.pass(25_000)
  t.match(failures, [{ code: 'ERR_PAIR_UNREACHABLE' }])
  await clock.pass(60_000)
  t.same(server.peer.status().served, [])
  heal()
  await clock.until(() => client.peer.isOnline, { within: 60_000 })
})

t.test('a peer that has restarted has no session: that is seen without waiting for it', async (t) => {
  for (const [near, far] of [[T[1], T[1]], [undefined, undefined], [T[4], T[4]]] as const) {
    const { made, failures } = await opened({ nats: [near, far] })
    const { world: { clock } } = made
    const [here] = await user(made)
    const failure = digest(here.source).then(() => 'ended', () => 'broken')
    await clock.pass(30_000)
    await restart(made)
    const restartedAt = clock.now()
    void here.sink(bytesOf(1000, 1)).catch(() => {})
    await clock.until(() => failures.length > 0, { within: 60_000 })
    t.match(failures, [{ code: 'ERR_PAIR_UNREACHABLE' }])
    t.ok(clock.now() - restartedAt < 30_000, `after ${clock.now() - restartedAt} ms`)
    t.ok(['ended', 'broken'].includes(await clock.until(failure)))
    await online(made)
    await made.world.close()
  }
})
