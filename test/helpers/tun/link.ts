/** The contract of links for real TUN devices; started by linux.test.ts in a network namespace of its own, as `link.ts <loop|thread>`. */
import { execFileSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { failureOf, idle } from '../ends.ts'
import { endings } from '../transports/contract.ts'
import { openLinuxTun, type OpenTunInit } from '../../../src/tun/linux.ts'
import type { Tun } from '../../../src/tun/device.ts'

const poll = process.argv[2] as OpenTunInit['poll']

async function device (t: Test): Promise<Tun> {
  const tun = await openLinuxTun({ poll })
  t.teardown(() => tun.close())
  return tun
}

endings(t, device)

t.test('close ends a sink whose source idles', async (t) => {
  const tun = await device(t)
  const { source, returned } = idle()
  const writing = failureOf(tun.sink(source))
  await tun.close()
  t.match(await writing, { code: 'ERR_TUN_CLOSED' })
  await returned
})

t.test('a device that is removed ends its sink', async (t) => {
  const tun = await device(t)
  const { source, returned } = idle()
  const writing = failureOf(tun.sink(source))
  const reading = failureOf(tun.source[Symbol.asyncIterator]().next())
  execFileSync('ip', ['link', 'del', tun.name])
  t.match(await reading, { code: 'ERR_TUN_GONE' })
  t.equal(await writing, await reading)
  await returned
})
