import t from 'tap'
import { encodeRoutes } from '../../../src/nodes/candy/protocol/routes.ts'
import { allowedSources, ownsSource, parseRules, routesFor } from '../../../src/nodes/candy/relay/sdwan.ts'
import { formatAddress, formatCidr } from '../../../src/net/ipv4.ts'
import { toHex } from '../../helpers/bytes.ts'
import { address } from '../../helpers/candy/vectors.ts'

const LAN = '192.168.202.0/24'
const two = `${LAN},172.16.0.0/16,192.168.202.1;${LAN},172.17.0.0/16,192.168.202.9`

const shown = (text: string): string[] => parseRules(text).map(({ device, destination, nexthop }) =>
  [formatCidr(device), formatCidr(destination), formatAddress(nexthop)].join())

t.test('rules are read in their order', async (t) => {
  t.same(shown(two), two.split(';'))
  t.same(shown(`${two};`), two.split(';'), 'a ; at the end')
  t.same(shown(''), [])
  t.same(shown('0.0.0.0/0,10.1.2.3/32,1.2.3.4,comment,more'), ['0.0.0.0/0,10.1.2.3/32,1.2.3.4'], 'further fields')
})

t.test('an error names its rule', async (t) => {
  const good = two.split(';')[0]
  const bad = [
    '', 'x', LAN, `${LAN},172.16.0.0/16`, `${LAN},172.16.0.0/16,`, `${LAN},172.16.0.0/16,gateway`, `${LAN},172.16.0.0/16, 192.168.202.1`,
    `${LAN},172.16.0.0/16,192.168.202.1/32`, `${LAN},172.16.0.1/16,192.168.202.1`, '192.168.202.7/24,172.16.0.0/16,192.168.202.1',
    `${LAN},::ffff:172.18.0.0/112,192.168.202.1`, `${LAN},172.16.0.0/33,192.168.202.1`, `${LAN},172.16.0.0,192.168.202.1`,
    ` ${LAN},172.16.0.0/16,192.168.202.1`, `${LAN},172.16.0.0/16,192.168.202.1 `
  ]
  for (const rule of bad) {
    t.throws(() => parseRules(`${good};${rule};${good}`), { code: 'ERR_OPTION', message: /^sdwan rule 2\b/, option: 'sdwan', detail: /^rule 2\b/ }, JSON.stringify(rule))
  }
  t.throws(() => parseRules(';'), { message: /^sdwan rule 1\b/ })
  t.throws(() => parseRules(`${good};;`), { message: /^sdwan rule 2\b/ })
  t.throws(() => parseRules(`${good}\n`), { message: /^sdwan rule 1\b/ })
})

t.test('the routes for a client, as the existing server sends them', async (t) => {
  const routes = routesFor(parseRules(two), address('192.168.202.2'))
  t.same(encodeRoutes(routes).map(toHex), ['06020000ac100000ffff0000c0a8ca01ac110000ffff0000c0a8ca09'])
})

t.test('case 19: a rule is for the clients of its device network', async (t) => {
  const rules = parseRules('10.0.0.2/32,172.16.0.0/16,10.0.0.1;10.0.0.0/24,172.17.0.0/16,10.0.0.1;0.0.0.0/0,172.18.0.0/16,10.0.0.1')
  const routes = (client: string): string[] => routesFor(rules, address(client)).map(({ destination }) => formatCidr(destination))
  t.same(routes('10.0.0.2'), ['172.16.0.0/16', '172.17.0.0/16', '172.18.0.0/16'])
  t.same(routes('10.0.0.3'), ['172.17.0.0/16', '172.18.0.0/16'])
  t.same(routes('10.0.1.2'), ['172.18.0.0/16'])
  const far = parseRules('10.0.0.2/32,172.16.0.0/16,10.0.0.1')
  t.same(encodeRoutes(routesFor(far, address('10.0.0.3'))), [], 'none matches: no message')
})

t.test('sources behind a node', async (t) => {
  const rules = parseRules(`${two};10.0.0.0/8,172.30.0.0/24,192.168.202.1;`)
  const gateway = allowedSources(rules, address('192.168.202.1'))
  t.same(gateway?.map(formatCidr), ['172.16.0.0/16', '172.30.0.0/24'])
  for (const source of ['172.16.0.0', '172.16.2.5', '172.16.255.255', '172.30.0.9']) t.ok(ownsSource(gateway, address(source)), source)
  for (const source of ['172.17.0.1', '172.15.255.255', '172.30.1.0', '9.9.9.9', '192.168.202.1']) t.notOk(ownsSource(gateway, address(source)), source)
  const other = allowedSources(rules, address('192.168.202.2'))
  t.equal(other, undefined)
  t.notOk(ownsSource(other, address('172.16.2.5')))
})
