/** A thread that ends with open sockets, whatever the way, takes nothing along: its ports are free, and other threads go on. */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'
import { outputOf } from '../../helpers/programs/program.ts'
import { ifNative } from '../../helpers/transports/udp-sockets.ts'

const script = fileURLToPath(new URL('../../helpers/transports/udp-worker.ts', import.meta.url))
const withoutLoop = new URL('../../helpers/tun/without-loop.js', import.meta.url).href

for (const [poller, imports] of [['the event loop', []], ['a thread', ['--import', withoutLoop]]] as const) {
  t.test(`polled by ${poller}`, ifNative, async (t) => {
    for (const how of ['exit', 'throw', 'terminate']) {
      t.same(JSON.parse(await outputOf(t, [...imports, ...STRIP_TYPES, script, how])), { heard: 'hello', offloads: ['batch', 'gso', 'gro'], reduced: 'worker threads have sockets of node:dgram alone' }, how)
    }
  })
}
