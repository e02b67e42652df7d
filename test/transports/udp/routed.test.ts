/** A way whose narrowest part is behind a router: its ICMP message is counted, and what follows arrives in fragments. */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Lab } from '../../helpers/network/namespaces.ts'
import { canRun } from '../../helpers/network/requirements.ts'
import { Agent } from '../../helpers/network/traffic.ts'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'

const script = fileURLToPath(new URL('../../helpers/transports/udp-network.ts', import.meta.url))

if (await canRun(t)) {
  for (const io of ['offload', 'batch']) {
    t.test(io, async (t) => {
      const lab = new Lab(t)
      const [host, router, server] = await Promise.all(['host', 'router', 'server'].map((name) => lab.namespace(name)))
      await lab.wire(host, 'eth0', router, 'near')
      await lab.wire(router, 'far', server, 'eth0')
      for (const [namespace, address, device] of [[host, '192.0.2.1/30', 'eth0'], [router, '192.0.2.2/30', 'near'], [router, '198.51.100.1/30', 'far'], [server, '198.51.100.2/30', 'eth0']] as const) {
        await namespace.ip('addr', 'add', address, 'dev', device)
      }
      await host.ip('route', 'add', 'default', 'via', '192.0.2.2')
      await server.ip('route', 'add', 'default', 'via', '198.51.100.1')
      for (const [namespace, device] of [[router, 'far'], [server, 'eth0']] as const) await namespace.ip('link', 'set', device, 'mtu', '1300')
      await router.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
      const port = await new Agent(server).call('serveEcho')
      const seen = JSON.parse(await host.run(process.execPath, ...STRIP_TYPES, script, 'routed', io, 'loop', '198.51.100.2', String(port)))
      const none = { unreachable: 0, noRoom: 0, waits: 0, other: 0 }
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
  }
}
