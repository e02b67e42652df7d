/** A thread that ends with open sockets takes them along, and nothing else. */
import t from 'tap'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'
import { outputOf } from '../../helpers/programs/program.ts'
import { ifNative } from '../../helpers/transports/udp-sockets.ts'

const helper = (path: string): string => new URL(`../../helpers/${path}`, import.meta.url).pathname

for (const [poller, imports] of [['loop', []], ['thread', ['tun/without-loop.js']]] as const) {
  t.test(`workers that end with an open socket: the process lives, the port is free, polled by ${poller}`, ifNative, async (t) => {
    const said = JSON.parse(await outputOf(t, [...imports.flatMap((path) => ['--import', helper(path)]), ...STRIP_TYPES, helper('transports/udp-workers.ts')]))
    const offloads = ['batch', 'gso', 'gro']
    t.same(said.results, [['terminate', offloads], ['exit', offloads], ['close', offloads], ['terminate', offloads]])
    t.ok(said.descriptors < 40, `${said.descriptors} descriptors are open`)
  })
}
