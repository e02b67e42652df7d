import { deepEqual } from 'node:assert/strict'
import { endianness } from 'node:os'
import fc from 'fast-check'
import t from 'tap'
import { addRoute, decodeAnswers, listRoutes, removeRoute, type KernelRoute } from '../../src/tun/rtnetlink.ts'
import { parseAddress } from '../../src/net/ipv4.ts'
import { hex, mutate, random, toHex } from '../helpers/bytes.ts'
import { mutations } from '../helpers/sample.ts'

const ROUNDS = mutations()

const address = (text: string): number => parseAddress(text) as number

const route: KernelRoute = { network: address('172.16.0.0'), prefix: 16, gateway: address('10.77.0.2'), metric: 50_000, device: 2 }
const SEQUENCE = 0x6b0628d4

/** What a kernel of 6.18 sends to the `ip` of iproute2 6.1, as strace saw it; so did the requests below begin. */
const LISTED = `44000000 18002200 d428066b 40340000  02100000 feca0001 14000000
  08000f00 fe000000  08000100 ac100000  08000600 50c30000  08000500 0a4d0002  08000400 02000000`
const DONE = '14000000 03002200 d428066b 40340000  00000000'
const ACK = '24000000 02000001 d428066b 24340000  00000000  3c000000 18000506 d428066b 00000000'
const REFUSED = `50000000 02000000 d428066b 4a340000  fdffffff  3c000000 19000500 d428066b 00000000 02100000 fecaff00 04000000
  08000100 ac100000  08000500 0a4d0002  08000600 50c30000  08000400 02000000`

const ATTRIBUTES = '08000100 ac100000  08000500 0a4d0002  08000600 50c30000  08000400 02000000'

if (endianness() === 'LE') {
  t.test('requests, byte for byte', async (t) => {
    const body = `02100000 feca0001 04000000 ${ATTRIBUTES}`
    t.equal(toHex(addRoute(SEQUENCE, route, false)), toHex(hex(`3c000000 18000506 d428066b 00000000 ${body}`)), 'as ip route add')
    t.equal(toHex(addRoute(SEQUENCE, route, true)), toHex(hex(`3c000000 1800050c d428066b 00000000 ${body}`)), 'as ip route append')
    // ip leaves scope and type open; here they are those of the route that was added
    t.equal(toHex(removeRoute(SEQUENCE, route)), toHex(hex(`3c000000 19000500 d428066b 00000000 ${body}`)))
    t.equal(toHex(listRoutes(SEQUENCE, 2)), toHex(hex('24000000 1a000103 d428066b 00000000 02000000 feca0001 00000000 08000400 02000000')))
  })

  t.test('answers, byte for byte', async (t) => {
    const answers = (text: string): unknown => decodeAnswers(hex(text), SEQUENCE)
    t.same(answers(LISTED), [{ route }])
    t.same(answers(LISTED + LISTED + DONE), [{ route }, { route }, { errno: 0 }])
    t.same(answers(ACK), [{ errno: 0 }])
    t.same(answers(REFUSED), [{ errno: 3 }], 'ESRCH')
    t.same(answers(''), [])
    t.same(answers(`10000000 01000000 d428066b 00000000 ${ACK}`), [{ errno: 0 }], 'NLMSG_NOOP says nothing')
    t.same(answers(`15000000 01000000 d428066b 00000000 00000000 ff 000000 ${ACK}`), [{ errno: 0 }], 'filled up to a multiple of four')
    t.same(answers('15000000 02000000 d428066b 00000000 00000000 ff'), [{ errno: 0 }], 'but at the end')
  })

  t.test('answers to somebody else are left out', async (t) => {
    t.same(decodeAnswers(hex(LISTED + DONE), SEQUENCE + 1), [])
    t.same(decodeAnswers(hex(LISTED.replaceAll('d428066b', 'd528066b') + ACK), SEQUENCE), [{ errno: 0 }])
  })

  t.test('routes that others have made are left out', async (t) => {
    const changed = (from: string, to: string): unknown => decodeAnswers(hex(LISTED.replace(from, to)), SEQUENCE)
    t.same(changed('feca0001', 'fe030001'), [], 'another protocol')
    t.same(changed('feca0001', 'ffca0001'), [], 'another table')
    t.same(changed('feca0001', 'feca0006'), [], 'a blackhole')
    t.same(changed('02100000', '0a100000'), [], 'IPv6')
    t.same(changed('02100000', '02210000'), [], 'a prefix of 33')
    t.same(changed('08000400', '08002100'), [{ route: { ...route, device: 0 } }], 'no interface, which is that of nobody')
    t.same(changed('08000600', '08000680'), [{ route }], 'a flag beside the type of an attribute')
    t.same(changed('08000600 50c30000', '04000600 04000600'), [{ route: { ...route, metric: 0 } }], 'an attribute without a value')
  })

  t.test('lengths that do not fit are an error', async (t) => {
    const wrong = { code: 'ERR_TUN_SYSTEM', message: /^rtnetlink: / }
    for (const text of [LISTED, DONE, ACK, REFUSED]) {
      const whole = hex(text)
      for (let length = 1; length < whole.length; length++) t.throws(() => decodeAnswers(whole.subarray(0, length), SEQUENCE), wrong, `${length} of ${whole.length} bytes`)
    }
    for (const [text, what] of [
      ['00000000 02000000 d428066b 00000000 00000000', 'a length of 0'],
      ['0f000000 02000000 d428066b 00000000', 'shorter than a header'],
      ['ffffffff 02000000 d428066b 00000000 00000000', 'longer than anything'],
      ['13000000 02000000 d428066b 00000000 00000000', 'an end without a number'],
      ['14000000 02000000 d428066b 00000000 01000000', 'an end with a positive number'],
      ['18000000 18000000 d428066b 00000000 02100000 feca0001', 'half a route'],
      [LISTED.replace('08000f00', '00000f00'), 'an attribute of 0 bytes'],
      [LISTED.replace('08000f00', '03000f00'), 'an attribute shorter than its header'],
      [LISTED.replace('08000400', '09000400'), 'an attribute that is longer than its message']
    ]) t.throws(() => decodeAnswers(hex(text), SEQUENCE), wrong, what)
  })
}

const u32 = fc.nat(0xffff_ffff)
const anyRoute: fc.Arbitrary<KernelRoute> = fc.record({ network: u32, prefix: fc.nat(32), gateway: u32, metric: u32, device: fc.nat(0x7fff_ffff) }, { noNullPrototype: true })

t.test('property: what is asked for has the form in which it is listed', async (t) => {
  fc.assert(fc.property(fc.array(anyRoute), u32, fc.boolean(), (routes, sequence, beside) => {
    const listed = Buffer.concat(routes.map((route) => addRoute(sequence, route, beside)))
    deepEqual(decodeAnswers(listed, sequence), routes.map((route) => ({ route })))
    deepEqual(decodeAnswers(listed, sequence ^ 1), [])
  }))
})

t.test('mutations bring errors that are foreseen, or numbers in their range', async (t) => {
  const samples = [LISTED, LISTED + LISTED + DONE, ACK, REFUSED].map((text) => hex(text))
  const below = random(1)
  const strange: unknown[] = []
  let errors = 0
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = mutate(samples[round % samples.length], below)
    try {
      for (const answer of decodeAnswers(bytes, SEQUENCE)) {
        const numbers = 'errno' in answer ? [answer.errno] : Object.values(answer.route)
        if (numbers.some((number) => number !== (number >>> 0)) || ('route' in answer && answer.route.prefix > 32)) strange.push(toHex(bytes))
      }
    } catch (err: any) {
      errors++
      if (err.code !== 'ERR_TUN_SYSTEM') strange.push(toHex(bytes), err)
    }
  }
  t.same(strange, [])
  t.ok(errors > ROUNDS / 10 && errors < ROUNDS, `${errors} errors`)
})
