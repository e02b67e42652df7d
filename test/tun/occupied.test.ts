/** What a machine uses itself, out of what the kernel and resolv.conf say. The real kernel is asked in test/e2e/overlap.test.ts. */
import { endianness } from 'node:os'
import t from 'tap'
import { nameServers, parseNameServers, RESOLV_CONF } from '../../src/tun/name-servers.ts'
import { occupiedBy, type MachineFacts } from '../../src/tun/occupied.ts'
import { decodeAddresses, decodeHops, listAddresses, listHops } from '../../src/tun/rtnetlink-lists.ts'
import { formatAddress, parseAddress } from '../../src/net/ipv4.ts'
import { hex, mutate, random, toHex } from '../helpers/bytes.ts'
import { mutations } from '../helpers/sample.ts'

const ROUNDS = mutations()

const address = (text: string): number => parseAddress(text) as number
const nameOf = (device: number): string => ['?', 'lo', 'eth0', 'candy', 'ppp0'][device]
const NONE: MachineFacts = { addresses: [], hops: [], nameServers: [] }
const texts = (facts: Partial<MachineFacts>, except = 3): string[] => occupiedBy({ ...NONE, ...facts }, except, nameOf).map(({ network, owner }) => `${network} of ${owner}`)
const at = (text: string, device: number, peer = text.split('/')[0]): MachineFacts['addresses'][0] => ({ address: address(text.split('/')[0]), prefix: Number(text.split('/')[1]), peer: address(peer), device })
const hop = (text: string, gateway: string, device: number, isLocal = false): MachineFacts['hops'][0] => ({ network: address(text.split('/')[0]), prefix: Number(text.split('/')[1]), gateway: address(gateway), device, isLocal })

t.test('networks and addresses of other interfaces', async (t) => {
  t.same(texts({ addresses: [at('192.168.1.5/24', 2), at('10.77.0.2/24', 3), at('10.0.0.1/32', 1)] }), ['192.168.1.0/24 of eth0', '192.168.1.5/32 of eth0', '10.0.0.1/32 of lo'])
  t.same(texts({ addresses: [at('10.64.0.1/32', 4, '10.64.9.9')] }), ['10.64.9.9/32 of ppp0', '10.64.0.1/32 of ppp0'], 'both ends of a link to one other host')
})

t.test('next hops, and networks right behind an interface; the rest of the routes is no matter of these', async (t) => {
  t.same(texts({
    hops: [
      hop('0.0.0.0/0', '192.168.1.1', 2), hop('10.0.0.0/8', '172.31.1.1', 2), hop('172.20.0.0/16', '0.0.0.0', 4), hop('172.16.0.0/16', '10.77.0.2', 3),
      hop('0.0.0.0/0', '0.0.0.0', 4), hop('128.0.0.0/1', '0.0.0.0', 4), hop('192.168.1.5/32', '0.0.0.0', 2, true), hop('7.0.0.0/8', '192.168.1.1', 2)
    ]
  }), ['192.168.1.1/32 of eth0', '172.31.1.1/32 of eth0', '172.20.0.0/16 of ppp0'])
})

t.test('name servers', async (t) => {
  t.same(texts({ nameServers: [address('10.255.255.53')] }), [`10.255.255.53/32 of ${RESOLV_CONF}`])
  t.same(parseNameServers('# nameserver 1.1.1.1\nnameserver 8.8.8.8\nnameserver\t9.9.9.9 # x\nnameserver ::1\nnameserver\nsearch example\nnameserver 300.1.1.1').map(formatAddress), ['8.8.8.8', '9.9.9.9'])
  const files: Record<string, string> = { [RESOLV_CONF]: 'nameserver 127.0.0.53\n', '/run/systemd/resolve/resolv.conf': 'nameserver 192.168.1.1\nnameserver 192.168.1.1\n' }
  t.same(nameServers((file) => files[file] ?? '').map(formatAddress), ['192.168.1.1'], 'those behind a resolver of the machine itself')
  t.same(nameServers((file) => file === RESOLV_CONF ? 'nameserver 10.0.0.2' : 'nameserver 10.0.0.3').map(formatAddress), ['10.0.0.2'])
  t.same(nameServers(() => ''), [])
  t.same(parseNameServers('nameserver ::ffff:192.168.1.1\nnameserver ::FFFF:c0a8:102\nnameserver 0:0:0:0:0:ffff:1.2.3.4\nnameserver ::1.2.3.4\nnameserver fe80::1%eth0\nnameserver 64:ff9b::1.2.3.4\nnameserver ::ffff:0:1.2.3.4').map(formatAddress), ['192.168.1.1', '192.168.1.2', '1.2.3.4'], 'of those of IPv6 only what stands for IPv4')
})

const SEQUENCE = 0x6b0628d4

// as a kernel of 6.18 sends them
const ADDRESS = `58000000 14000200 d428066b 40340000  02188000 02000000
  08000100 c0a80105  08000200 c0a80105  08000400 c0a801ff  09000300 65746830 00000000  08000800 80000000  14000600 ffffffff ffffffff 00000000 00000000`.replaceAll(/\s/g, '')
const DEFAULT = '3c000000 18000200 d428066b 40340000  02000000 fe030001 00000000  08000f00 fe000000  08000500 c0a80101  08000400 02000000'
const CONNECTED = '44000000 18000200 d428066b 40340000  02180000 fe02fd01 00000000  08000f00 fe000000  08000100 c0a80100  08000700 c0a80105  08000400 02000000'
const SEVERAL = `54000000 18000200 d428066b 40340000  02100000 fe030001 00000000  08000f00 fe000000  08000100 0a030000
  24000900 10000000 02000000 08000500 c0a80107 10000000 04000000 08000500 c0a80108`.replaceAll(/\s/g, '')

/** Sets the length in the header to what it is. */
function whole (text: string): Uint8Array {
  const bytes = hex(text)
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, bytes.length, true)
  return bytes
}

if (endianness() === 'LE') {
  t.test('requests and answers, byte for byte', async (t) => {
    t.equal(toHex(listAddresses(SEQUENCE)), toHex(hex('18000000 16000103 d428066b 00000000 02000000 00000000')))
    t.equal(toHex(listHops(SEQUENCE)), toHex(hex('1c000000 1a000103 d428066b 00000000 02000000 00000000 00000000')))
    t.same(decodeAddresses(whole(ADDRESS), SEQUENCE), [{ item: at('192.168.1.5/24', 2) }])
    t.same(decodeHops(whole(DEFAULT), SEQUENCE), [{ item: hop('0.0.0.0/0', '192.168.1.1', 2) }])
    t.same(decodeHops(whole(CONNECTED), SEQUENCE), [{ item: hop('192.168.1.0/24', '0.0.0.0', 2) }])
    t.same(decodeHops(whole(SEVERAL), SEQUENCE), [{ item: hop('10.3.0.0/16', '192.168.1.7', 2) }, { item: hop('10.3.0.0/16', '192.168.1.8', 4) }])
    t.same(decodeHops(whole(DEFAULT), SEQUENCE + 1), [], 'an answer to somebody else')
    t.same(decodeHops(whole('14000000 03000200 d428066b 40340000 00000000'), SEQUENCE), [{ errno: 0 }])
  })

  t.test('mutations bring errors that are foreseen, or numbers in their range', async (t) => {
    const below = random(3)
    const strange: unknown[] = []
    let errors = 0
    for (let round = 0; round < ROUNDS; round++) {
      const sample = [ADDRESS, DEFAULT, CONNECTED, SEVERAL][round % 4]
      const bytes = mutate(whole(sample), below)
      try {
        for (const answer of [...decodeAddresses(bytes, SEQUENCE), ...decodeHops(bytes, SEQUENCE)]) {
          if ('item' in answer && (answer.item.prefix > 32 || Object.values(answer.item).some((value) => typeof value === 'number' && value !== value >>> 0))) strange.push(toHex(bytes))
        }
      } catch (err: any) {
        errors++
        if (err.code !== 'ERR_TUN_SYSTEM') strange.push(toHex(bytes), err)
      }
    }
    t.same(strange, [])
    t.ok(errors > ROUNDS / 10 && errors < ROUNDS, `${errors} errors`)
  })
}
