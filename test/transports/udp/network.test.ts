/** Networks that lead nowhere, refuse, cut, are full, or have zones: each in a namespace of its own. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'
import { startCommand } from '../../helpers/programs/program.ts'
import { NOT_NATIVE } from '../../helpers/transports/udp-sockets.ts'

const script = fileURLToPath(new URL('../../helpers/transports/udp-network.ts', import.meta.url))

/** What a scenario saw. */
async function seen (t: Test, scenario: string, io: string, poll = 'loop'): Promise<unknown> {
  const { code, stdout, stderr } = await startCommand(t, 'unshare', ['-n', process.execPath, ...STRIP_TYPES, script, scenario, io, poll]).ended
  if (code !== 0) throw new Error(`${scenario}: code ${code}: ${stderr}`)
  return JSON.parse(stdout)
}

const NONE = { unreachable: 0, tooLarge: 0, noRoom: 0, waits: 0, other: 0 }

const WAYS = [['offload', 'loop'], ['batch', 'thread']] as const

const isPossible = NOT_NATIVE === undefined && process.getuid?.() === 0 &&
  spawnSync('unshare', ['-n', 'sh', '-c', 'ip link set lo up && command -v nft && tc qdisc add dev lo root tbf rate 20mbit burst 100kb limit 4mb']).status === 0

if (!isPossible && process.env.CI !== 'true') {
  t.test('real networks', { skip: 'need Linux, koffi, root, network namespaces, ip, nft, and tc with its token bucket filter' }, async () => {})
} else {
  for (const [io, poll] of WAYS) {
    t.test(`without a network, a host or a permission: each datagram is counted once, ${io}, polled by ${poll}`, async (t) => {
      t.same(await seen(t, 'unreachable', io, poll), {
        noNetwork: { ...NONE, unreachable: 10 },
        noHost: { ...NONE, unreachable: 20 },
        prohibited: { ...NONE, unreachable: 20, other: 10 },
        blackhole: { ...NONE, unreachable: 20, other: 20 },
        noNetwork6: { ...NONE, unreachable: 10 },
        nobody: { ...NONE, unreachable: 10 },
        arrived: ['live', 'live']
      })
    })

    t.test(`a packet filter: each datagram is counted once, those to others arrive, ${io}, polled by ${poll}`, async (t) => {
      const numbers = (from: number): number[] => Array.from({ length: 10 }, (_, i) => from + i)
      t.same(await seen(t, 'firewall', io, poll), { errors: { ...NONE, other: 21 }, arrived: [...numbers(10), ...numbers(30)].join() })
    })

    t.test(`a full way: nothing that was taken is lost, ${io}, polled by ${poll}`, async (t) => {
      t.same(await seen(t, 'full', io, poll), {
        order: true,
        count: true,
        queued: 0,
        most: { queued: true, waits: true, refused: true },
        waits: true,
        errors: { unreachable: 0, tooLarge: 0, noRoom: 0, other: 0 },
        dropped: 0,
        ends: [['close', true, 0, 0], ['abort', true, 0, 0]]
      })
      t.same(await seen(t, 'fullWithErrors', io, poll), { waited: true, unreachable: true, spins: false })
    })
  }

  t.test('a port for which one needs a permission', async (t) => {
    for (const io of ['offload', 'node']) t.same(await seen(t, 'permission', io), { code: { code: 'EACCES', syscall: 'bind', address: '127.0.0.1', port: 1 } }, io)
  })

  t.test('larger than the way takes at once: in fragments, smaller ones in groups', async (t) => {
    const all = (offloads: number, reduced: string): unknown[] => [true, true, NONE, offloads, reduced]
    t.same(await seen(t, 'fragments', 'offload'), { results: [...all(3, 'all'), ...all(3, 'all')] })
    t.same(await seen(t, 'fragments', 'batch'), { results: [...all(1, 'no offload is asked for'), ...all(1, 'no offload is asked for')] })
  })

  t.test('a zone is part of a host: sent to, told, and answered; also of an interface that comes later', async (t) => {
    for (const io of ['offload', 'node']) {
      t.match(await seen(t, 'zones', io), {
        local: 'fe80::aaaa%veth0',
        asked: ['fe80::aaaa%veth0 by name', 'fe80::aaaa%veth0 by number'],
        answered: ['fe80::aaaa%veth0 answer', 'fe80::aaaa%veth0 answer'],
        dialled: 'fe80::aaaa%veth0',
        linkLocal: 'fe80::aaaa%veth0',
        toLink: 'to the link',
        made: ['round 0', 'round 1']
      }, io)
    }
  })
}
