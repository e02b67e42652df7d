/** `peer explain`, and what `peer status` has of direct paths. */
import t from 'tap'
import { directLines, explainText } from '../../../src/cli/candy/direct-text.ts'
import type { DirectMemberStatus, DirectStatus, PathExplanation } from '../../../src/nodes/candy/index.ts'
import { decodeNat } from '../../../src/nodes/candy/protocol/nat-code.ts'
import { config, joined, network, start } from '../../helpers/cli/candy.ts'
import { forward } from '../../helpers/candy/client.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram, startProgram } from '../../helpers/programs/program.ts'

t.test('a running peer says why a member is relayed', async (t) => {
  const { url } = await start(t, config(network('/a', 'secret-a')))
  const env = { ...homeEnv(), TUNPIPE_PASSWORD: 'secret-a' }
  const args = ['candy', '--url', `${url}/a`, '--tun', 'none', '--address', '10.77.0.2/24']
  const peer = startProgram(t, 'peer', [...args, '--stun', 'none', '--name', 'home'], { env })
  await peer.find(/^ready candy /m)
  const explain = async (...more: string[]): Promise<{ code: number | null, stdout: string, stderr: string }> => await runProgram(t, 'peer', ['explain', ...more], { env })
  t.match(await explain('10.77.0.9'), { code: 0, stdout: /^10\.77\.0\.9: relay, state init\nwhy: no packet of it has come through the server yet, so no path was looked for\nwhat would help: ping 10\.77\.0\.9, .*\n\nhere: UDP port \d+, .*\n(?: {2}candidate .*\n)* {2}no STUN server is asked\nthere: nothing was told\n\nnothing was tried\n$/ })

  const other = await joined(t, `${url}/a`, 'secret-a', '10.77.0.9')
  other.send(forward('10.77.0.9', '10.77.0.2', 8))
  await other.next() // CONN of the peer
  const { protocol, program, explanation } = JSON.parse((await explain('--json', '--name', 'home', '10.77.0.9')).stdout)
  t.match({ protocol, program, explanation }, { protocol: 'candy', program: 'peer', explanation: { address: '10.77.0.9', path: 'relay', reason: 'searching', history: [{ at: Number, text: 'a packet has come through the server' }], own: { stun: [] } } })

  for (const [member, message] of [
    ['bob', /^not an address \(bob\), expected that of a member such as 10\.77\.0\.2$/m],
    ['10.78.0.1', /^10\.78\.0\.1 can be no member, expected an address in 10\.77\.0\.0\/24$/m],
    ['10.77.0.2', /^10\.77\.0\.2 is this peer itself/m]
  ] as const) t.match(await explain(member), { code: 2, stdout: '', stderr: message }, member)
  t.match(await explain(), { code: 2, stderr: /missing required argument 'peer'/ })
  t.match(await explain('--name', 'work', '10.77.0.9'), { code: 1, stderr: /^peer: nobody listens at .*peer-work\.sock/ })
  t.match(await runProgram(t, 'relay', ['explain', '10.77.0.9'], { env }), { code: 1, stderr: /^relay: nobody listens at .*relay\.sock/ })
  peer.signal('SIGTERM')
  await peer.ended

  const relayed = startProgram(t, 'peer', [...args, '--direct', 'off', '--name', 'off'], { env })
  await relayed.find(/^ready candy /m)
  t.match(await explain('10.77.0.9'), { code: 2, stderr: /^direct paths are off \(--direct off\)$/m })
  t.match((await runProgram(t, 'peer', ['status'], { env })).stdout, /^no direct paths are looked for \(--direct off\)$/m)
})

const OWN: DirectStatus = {
  isOpen: true,
  reason: undefined,
  port: 41_641,
  endpoint: '203.0.113.1:41641',
  candidates: [{ type: 'host', endpoint: '192.168.1.10:41641' }, { type: 'reflexive', endpoint: '203.0.113.1:41641' }],
  stun: [
    { server: '192.0.2.7:3478', status: 'answered', endpoint: '203.0.113.1:41641', roundTrip: 42 },
    { server: 'stun.example.org:3478', status: 'not found', error: 'ENOTFOUND' },
    { server: '192.0.2.8:3478', status: 'no answer' },
    { server: '192.0.2.9:3478', status: 'error', error: '400 Bad Request' },
    { server: '192.0.2.10:3478', status: 'pending' }
  ],
  nat: decodeNat(0x33),
  mapping: { state: 'mapped', endpoint: '203.0.113.1:5000', by: 'upnp', reason: undefined }
}

const memberOf = (i: number, more: Partial<DirectMemberStatus> = {}): DirectMemberStatus => ({
  address: `10.77.0.${i}`, path: 'relay', via: undefined, endpoint: undefined, roundTrip: undefined, loss: { in: undefined, out: undefined }, packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0, state: 'init', isIntroduced: false, ...more
})

t.test('members as text: those with traffic first, and no more than fifty', async (t) => {
  const lines = directLines(OWN, [
    ...Array.from({ length: 60 }, (_, i) => memberOf(100 + i)),
    memberOf(3, { path: 'direct', endpoint: '203.0.113.2:5', roundTrip: 44.06, loss: { in: 0.004, out: 1 }, bytesIn: 1000, bytesOut: 2_000_000, state: 'connected', isIntroduced: true }),
    memberOf(4, { path: 'via', via: '10.77.0.3', bytesIn: 500 }),
    memberOf(5, { path: 'lan', endpoint: '192.168.1.20:5', bytesIn: 501, state: 'connected' })
  ]).join('\n').split('\n')
  t.equal(lines[0], 'direct paths: UDP port 41641, told as 203.0.113.1:41641, NAT symmetric (mapping address-and-port-dependent, filtering address-and-port-dependent), mapped to 203.0.113.1:5000 by UPnP')
  t.same(lines.slice(1, 6), [
    '  STUN 192.0.2.7:3478: 203.0.113.1:41641 in 42.0 ms',
    '  STUN stun.example.org:3478: not found, ENOTFOUND',
    '  STUN 192.0.2.8:3478: no answer',
    '  STUN 192.0.2.9:3478: error, 400 Bad Request',
    '  STUN 192.0.2.10:3478: asked'
  ])
  t.same(lines.slice(7, 11).map((line) => line.split(/ {2,}/)), [
    ['MEMBER', 'PATH', 'ENDPOINT', 'ROUND TRIP', 'LOST IN', 'LOST OUT', 'IN', 'OUT', 'STATE', 'KEYS'],
    ['10.77.0.3', 'direct', '203.0.113.2:5', '44.1 ms', '0.4 %', '100.0 %', '1 kB', '2 MB', 'connected', 'own'],
    ['10.77.0.5', 'lan', '192.168.1.20:5', '-', '-', '-', '501 B', '0 B', 'connected', 'shared'],
    ['10.77.0.4', 'via 10.77.0.3', '-', '-', '-', '-', '500 B', '0 B', 'init', '-']
  ])
  t.equal(lines.length, 7 + 1 + 50 + 1)
  t.equal(lines.at(-1), 'and 13 more members')
  t.same(directLines({ ...OWN, isOpen: false, reason: 'EADDRINUSE', stun: [] }, []), ['direct paths: none, EADDRINUSE'])
  t.match(directLines({ ...OWN, mapping: { state: 'none', endpoint: undefined, by: undefined, reason: 'no gateway' } }, [])[0], /, no port mapped: no gateway$/)
})

t.test('an explanation as text', async (t) => {
  const explanation: PathExplanation = {
    address: '10.77.0.4',
    path: 'relay',
    via: undefined,
    endpoint: undefined,
    state: 'waiting',
    isIntroduced: false,
    reason: 'symmetric',
    text: 'the NATs do not let them meet',
    hints: ['a forwarded port'],
    retry: 16_400,
    own: OWN,
    member: { isIntroduced: true, endpoint: '203.0.113.9:7', candidates: ['192.168.9.9:7'], nat: decodeNat(0x13) },
    history: [{ at: Date.UTC(2026, 0, 1), text: 'a packet has come through the server' }]
  }
  t.equal(explainText(explanation), `10.77.0.4: relay, state waiting
why: the NATs do not let them meet; the next attempt in 17 s
what would help: a forwarded port

here: UDP port 41641, told as 203.0.113.1:41641, NAT symmetric (mapping address-and-port-dependent, filtering address-and-port-dependent), mapped to 203.0.113.1:5000 by UPnP
  candidate 192.168.1.10:41641, host
  candidate 203.0.113.1:41641, reflexive
  STUN 192.0.2.7:3478: 203.0.113.1:41641 in 42.0 ms
  STUN stun.example.org:3478: not found, ENOTFOUND
  STUN 192.0.2.8:3478: no answer
  STUN 192.0.2.9:3478: error, 400 Bad Request
  STUN 192.0.2.10:3478: asked
there: told as 203.0.113.9:7, NAT port-restricted cone (mapping endpoint-independent, filtering address-and-port-dependent)
  candidate 192.168.9.9:7

2026-01-01T00:00:00.000Z a packet has come through the server`)
  t.match(explainText({ ...explanation, member: { isIntroduced: false, endpoint: '203.0.113.9:7', candidates: [], nat: decodeNat(0) } }), /^there: told as 203\.0\.113\.9:7, an original client, NAT unknown$/m)
})
