/** A way whose narrowest part is behind a router: its ICMP message is counted, and what follows arrives in fragments, or not at all. */
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Lab, type Namespace } from '../../helpers/network/namespaces.ts'
import { canRun } from '../../helpers/network/requirements.ts'
import { Agent } from '../../helpers/network/traffic.ts'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'

const script = fileURLToPath(new URL('../../helpers/transports/udp-network.ts', import.meta.url))

/** A host, a server with an echo, and a router between them, behind which only 1300 bytes pass at once. */
async function narrowWay (t: Test, echoAt?: string): Promise<{ host: Namespace, port: number }> {
  const lab = new Lab(t)
  const [host, router, server] = await Promise.all(['host', 'router', 'server'].map((name) => lab.namespace(name)))
  await lab.wire(host, 'eth0', router, 'near')
  await lab.wire(router, 'far', server, 'eth0')
  for (const namespace of [host, router, server]) await namespace.run('sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/all/disable_ipv6')
  for (const [namespace, device, ...addresses] of [
    [host, 'eth0', '192.0.2.1/30', '2001:db8:1::1/64'],
    [router, 'near', '192.0.2.2/30', '2001:db8:1::2/64'],
    [router, 'far', '198.51.100.1/30', '2001:db8:2::1/64'],
    [server, 'eth0', '198.51.100.2/30', '2001:db8:2::2/64']
  ] as const) {
    for (const address of addresses) await namespace.ip('addr', 'add', address, 'dev', device, ...address.includes(':') ? ['nodad'] : [])
  }
  for (const [namespace, ...gateways] of [[host, '192.0.2.2', '2001:db8:1::2'], [server, '198.51.100.1', '2001:db8:2::1']] as const) {
    for (const gateway of gateways) await namespace.ip('route', 'add', 'default', 'via', gateway)
  }
  for (const [namespace, device] of [[router, 'far'], [server, 'eth0']] as const) await namespace.ip('link', 'set', device, 'mtu', '1300')
  await router.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding')
  return { host, port: await new Agent(server).call('serveEcho', echoAt) }
}

const none = { unreachable: 0, noRoom: 0, waits: 0, other: 0 }

if (await canRun(t, ['ethtool'])) {
  for (const io of ['offload', 'batch']) {
    t.test(io, async (t) => {
      const { host, port } = await narrowWay(t)
      const seen = JSON.parse(await host.run(process.execPath, ...STRIP_TYPES, script, 'routed', io, 'loop', '198.51.100.2', String(port)))
      t.same(seen, {
        small: true,
        group: true,
        before: { ...none, tooLarge: 0 },
        tooLarge: 1,
        others: none,
        large: [true, true, true, true],
        more: 0, // what is known is no error any more
        offloads: io === 'batch' ? ['batch'] : ['batch', 'gso', 'gro']
      })
    })

    t.test(`without fragments, ${io}`, async (t) => {
      const { host, port } = await narrowWay(t, '::')
      for (const [from, to, headers] of [['0.0.0.0', '198.51.100.2', 28], ['::', '2001:db8:2::2', 48], ['::', '198.51.100.2', 28]] as const) {
        const seen = JSON.parse(await host.run(process.execPath, ...STRIP_TYPES, script, 'whole', io, 'loop', to, String(port), from, String(headers)))
        t.same(seen, {
          counts: { 1000: 16, path: 71 },
          isTold: true, // by the router
          local: 11,
          others: none,
          reduced: io === 'batch' ? 'no offload is asked for' : 'all',
          fragments: false
        }, `from ${from} to ${to}`)
      }
    })
  }

  t.test('without fragments, groups that the first interface splits', async (t) => {
    const { host, port } = await narrowWay(t, '::')
    await host.run('ethtool', '-K', 'eth0', 'tx-udp-segmentation', 'off', 'gso', 'off')
    for (const [from, to, headers] of [['0.0.0.0', '198.51.100.2', 28], ['::', '2001:db8:2::2', 48]] as const) {
      const seen = JSON.parse(await host.run(process.execPath, ...STRIP_TYPES, script, 'whole', 'offload', 'loop', to, String(port), from, String(headers)))
      t.match(seen, { counts: { 1000: 16, path: 71 }, isTold: true, others: none, reduced: 'all', fragments: false }, `from ${from} to ${to}`)
    }
  })
}
