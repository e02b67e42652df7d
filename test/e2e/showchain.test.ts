/** SHOW CHAIN between all kinds of NAT: what relays tell about them, and the paths that peers find through them. */
import t from 'tap'
import type { Namespace } from '../helpers/network/namespaces.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { KINDS, NATS, PATHS, ProgramLab, type Connected, type Nat, type Served } from '../helpers/showchain/program-lab.ts'

const BYTES = 300_000

if (await canRun(t, ['nft'])) {
  t.setTimeout(400_000)
  await t.test('the kinds of NATs, and all 16 pairs of them (row 7)', { timeout: 300_000 }, async (t) => {
    const lab = await ProgramLab.open(t)
    const host = async (site: string, nat: Nat): Promise<Namespace> => await (await lab.nat.home(`${site}${nat}`, NATS[nat])).host(`${site}${nat}-host`)
    const [hostsOfA, hostsOfB] = [await Promise.all(KINDS.map((nat) => host('a', nat))), await Promise.all(KINDS.map((nat) => host('b', nat)))]
    const requesters = KINDS.map((_nat, i) => lab.idAfter(KINDS.length + i))
    const inspected = Promise.all(hostsOfB.map((each) => lab.inspect(each)))
    const targets = await Promise.all(hostsOfA.map(async (each): Promise<Served> => await lab.serve(each, requesters)))
    t.same(await Promise.all(targets.map((each) => each.kind())), KINDS, 'kinds of site A')
    const connected = await Promise.all(hostsOfB.map(async (each): Promise<Connected> => await lab.connect(each, targets)))
    t.same((await inspected).map(({ kind, isCertain }) => `${kind}${isCertain ? '' : '?'}`), KINDS, '`peer showchain nat` at site B')
    await Promise.all(connected.flatMap((from, r) => targets.map(async (to, i) => {
      const pair = `${KINDS[r]} to ${KINDS[i]}`
      const path = PATHS[KINDS[r]][KINDS[i]]
      if (!await from.reaches(t, to, path, `${pair}: ${path}`)) return
      await from.echoes(t, to, BYTES, pair)
    })))
    t.same(await Promise.all(connected.map((each) => each.kind())), KINDS, 'kinds of site B')
    for (const [r, from] of connected.entries()) {
      const { kind, remotes } = await from.status()
      t.equal(`T${kind}`, KINDS[r])
      for (const [i, { id }] of targets.entries()) {
        const { paths } = remotes.find((remote: any) => remote.id === id)
        t.equal(paths.find(({ isChosen }: any) => isChosen)?.kind, PATHS[KINDS[r]][KINDS[i]], `status: ${KINDS[r]} to ${KINDS[i]}`)
      }
    }
  })
}
