/**
 * Mappings by the real miniupnpd, on routers in network namespaces, where it is. Nobody has it by chance, so this is no part of the suite.
 * As root:
 *
 * `MINIUPNPD_BIN=/usr/sbin/miniupnpd npx tap --timeout=300 test/e2e/miniupnpd.ts`
 *
 * It is the build with nftables, and IGD 2.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Lab, UPLINK, type Namespace } from '../helpers/network/namespaces.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { STRIP_TYPES } from '../helpers/programs/executables.ts'
import { startCommand, type Program } from '../helpers/programs/program.ts'
import { eventually } from '../helpers/network/traffic.ts'

const { MINIUPNPD_BIN } = process.env
const MAPPER = fileURLToPath(new URL('../helpers/nat/mapper.ts', import.meta.url))
const LAN = '192.168.1'

interface Home {
  /** Redirections of the router, as rules. */
  rules (): Promise<string>
  /** On one of two hosts: its address ends with 2 or 3. */
  mapper (init: object, last?: number): { program: Program, tell: (command: string) => void }
}

/** A host behind a router that has this address outside. */
async function home (t: Test, outside: string): Promise<Home> {
  const lab = new Lab(t)
  const router = await lab.host('router', `${outside}/24`)
  await router.ip('link', 'add', 'lan', 'type', 'bridge')
  await router.ip('link', 'set', 'lan', 'up')
  await router.ip('addr', 'add', `${LAN}.1/24`, 'dev', 'lan')
  const hosts = new Map<number, Namespace>()
  for (const last of [2, 3]) {
    const host = await lab.namespace(`host${last}`)
    hosts.set(last, host)
    await lab.wire(host, UPLINK, router, `lan${last}`)
    await router.ip('link', 'set', `lan${last}`, 'master', 'lan')
    await host.ip('addr', 'add', `${LAN}.${last}/24`, 'dev', UPLINK)
    await host.ip('route', 'add', 'default', 'via', `${LAN}.1`)
  }
  await router.filter(`table inet filter {
    chain forward { type filter hook forward priority 0; policy accept; jump miniupnpd; }
    chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
    chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }
    chain miniupnpd {}
    chain prerouting_miniupnpd {}
    chain postrouting_miniupnpd {}
  }`)
  const folder = mkdtempSync(join(tmpdir(), 'tunpipe-miniupnpd-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  const config = join(folder, 'miniupnpd.conf')
  writeFileSync(config, ['ext_ifname=eth0', 'listening_ip=lan', 'enable_natpmp=yes', 'enable_upnp=yes', 'secure_mode=yes', 'ipv6_disable=yes', 'system_uptime=yes',
    'upnp_table_name=filter', 'upnp_nat_table_name=filter', 'upnp_forward_chain=miniupnpd', 'upnp_nat_chain=prerouting_miniupnpd', 'upnp_nat_postrouting_chain=postrouting_miniupnpd',
    'uuid=5dc223c4-64ca-438a-9a19-5c0c9867b87b', 'allow 1024-65535 192.168.1.0/24 1024-65535', 'deny 0-65535 0.0.0.0/0 0-65535', ''].join('\n'))
  const daemon = startCommand(t, 'ip', ['netns', 'exec', router.name, MINIUPNPD_BIN as string, '-d', '-f', config, '-P', join(folder, 'pid')])
  t.ok(await eventually(async () => /:5351 /.test(await router.run('ss', '-lunH'))), `it runs: ${daemon.stderr.slice(-300)}`)
  return {
    rules: () => router.run('nft', 'list', 'chain', 'inet', 'filter', 'prerouting_miniupnpd'),
    mapper (init, last = 2) {
      const program = startCommand(t, 'ip', ['netns', 'exec', (hosts.get(last) as Namespace).name, process.execPath, ...STRIP_TYPES, MAPPER, JSON.stringify({ address: `${LAN}.${last}`, ...init })], { env: { NODE_OPTIONS: '' }, stdin: 'pipe' })
      return { program, tell: (command) => { program.child.stdin?.write(`${command}\n`) } }
    }
  }
}

if (MINIUPNPD_BIN === undefined) t.plan(0, 'only when asked for: set MINIUPNPD_BIN')
else if (await canRun(t, ['nft', 'ss'])) {
  for (const by of ['nat-pmp', 'upnp'] as const) {
    await t.test(`by ${by}: mapped, renewed, removed`, async (t) => {
      const { rules, mapper } = await home(t, '11.1.1.2')
      const { program, tell } = mapper({ protocols: [by] })
      tell('start')
      const [, found] = await program.find(/status (.*"(?:mapped|none|failed)".*)/)
      t.same(JSON.parse(found), { state: 'mapped', external: { host: '11.1.1.2', port: 5000 }, by })
      t.match(await rules(), /dport 5000 .*dnat (?:ip )?to 192\.168\.1\.2:5000/)
      tell('pass 600000')
      await program.find(/(?:thread ends[^]*){2}/)
      t.equal((await rules()).match(/dnat/g)?.length, 1, 'the renewal is of the same mapping')
      tell('close')
      t.notMatch((await program.ended).stdout, /"none"|"failed"|reason/)
      t.notMatch(await rules(), /dnat/)
    })

    await t.test(`by ${by}: double NAT`, async (t) => {
      const { rules, mapper } = await home(t, '10.1.1.2')
      const { program, tell } = mapper({ protocols: [by] })
      tell('start')
      const [, found] = await program.find(/status (.*"(?:mapped|none|failed)".*)/)
      t.match(JSON.parse(found), { state: 'none' })
      t.comment(found)
      t.notMatch(await rules(), /dnat/)
      tell('close')
      await program.ended
    })
  }

  await t.test('a port that another host has: UPnP gives another one, and keeps it', async (t) => {
    const { rules, mapper } = await home(t, '11.1.1.2')
    const first = mapper({ protocols: ['upnp'] })
    first.tell('start')
    await first.program.find(/"mapped"/)
    const second = mapper({ protocols: ['upnp'] }, 3)
    second.tell('start')
    const [, found] = await second.program.find(/status (.*"(?:mapped|none|failed)".*)/)
    t.match(JSON.parse(found), { state: 'mapped' })
    t.not(JSON.parse(found).external?.port, 5000)
    second.tell('pass 600000')
    await second.program.find(/(?:thread ends[^]*){2}/)
    t.equal((await rules()).match(/dnat/g)?.length, 2)
    second.tell('close')
    await second.program.ended
    t.equal((await rules()).match(/dnat/g)?.length, 1)
  })
}
