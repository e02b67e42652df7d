/** However much comes, and whoever reads it: what waits is bounded, also the memory that it is in. */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'
import { outputOf } from '../../helpers/programs/program.ts'
import { sample } from '../../helpers/sample.ts'

const script = fileURLToPath(new URL('../../helpers/transports/udp-flood.ts', import.meta.url))

/** 170 MB and more, of which 1 MiB may wait: with what has not been collected yet less than this many MiB. */
const MOST = 60
const DATAGRAMS = sample('datagrams', { short: 200_000, long: 2_000_000 })

const SCENARIOS = {
  offload: { unread: { dropped: true }, slow: { dropped: true, got: true }, busy: { dropped: true, got: true }, links: { flows: 20, refused: true }, beside: { links: 1 } },
  node: { unread: { dropped: true }, links: { flows: 20, refused: true } }
}

for (const [io, scenarios] of Object.entries(SCENARIOS)) {
  for (const [scenario, seen] of Object.entries(scenarios)) {
    t.test(`${scenario}, ${io}`, async (t) => {
      const { most, ...rest } = JSON.parse(await outputOf(t, ['--expose-gc', ...STRIP_TYPES, script, scenario, io, String(scenario === 'beside' ? DATAGRAMS / 2 : DATAGRAMS)]))
      t.same(rest, seen)
      t.ok(most < MOST, `${most} MiB`)
    })
  }
}
