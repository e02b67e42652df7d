/** Tables of a helper and proxy: bounds by owner and in total, and what time does to them (SHOW CHAIN protocol, sections 5.1, 5.3, 6.1 and 6.2). */
import { createHash } from 'node:crypto'
import t from 'tap'
import { Histories } from '../../../../src/nodes/showchain/relay/history.ts'
import { answeredRequest, Introductions, type Introduction } from '../../../../src/nodes/showchain/relay/introductions.ts'
import { PassWindow } from '../../../../src/nodes/showchain/relay/pass-window.ts'
import { Registrations, SILENCE, type Registration } from '../../../../src/nodes/showchain/relay/registrations.ts'
import { endAt, otherOf, Sessions, SILENCE as SESSION_SILENCE, type ProxySession } from '../../../../src/nodes/showchain/relay/sessions.ts'
import { idKey } from '../../../../src/nodes/showchain/protocol/public-keys.ts'

const id = (number: number): Uint8Array => createHash('sha256').update(String(number)).digest()
const der = new Uint8Array(294)
const at = (host: string, port = 1000) => ({ host, port })
const limits = { maxNodes: 4, maxNodesPerSource: 2 }

function registered (table: Registrations, number: number, host: string, now = 0): Registration {
  return table.register(id(number), der, at(host), host, 0, now) as Registration
}

t.test('registrations', async (t) => {
  t.test('bounds by address and in total; a node that is known needs no room', async (t) => {
    const table = new Registrations(limits)
    t.ok(registered(table, 1, 'a'))
    t.ok(registered(table, 2, 'a'))
    t.equal(table.register(id(3), der, at('a'), 'a', 0, 0), undefined, 'a third one of this address')
    t.ok(registered(table, 3, 'b'))
    t.ok(registered(table, 4, 'c'))
    t.equal(table.register(id(5), der, at('d'), 'd', 0, 0), undefined, 'a fifth one')
    t.ok(table.register(id(1), der, at('a', 2000), 'a', 0, 0), 'one of the four, at another port')
    t.equal(table.size, 4)
  })

  t.test('bounds by IPv6 site', async (t) => {
    const table = new Registrations({ maxNodes: 100, maxNodesPerSource: 1 })
    const networks = Array.from({ length: 6 }, (_, i) => `2001:db8:1:${i}::/64`)
    t.same(networks.map((network, i) => registered(table, i, network) !== undefined), [true, true, true, true, false, false])
    t.ok(table.register(id(0), der, at('x'), networks[4], 0, 0), 'one that moves inside of the site')
    t.ok(registered(table, 10, '2001:db8:2:0::/64'), 'another site')
    table.tick(SILENCE, () => {})
    t.ok(registered(table, 5, networks[5], SILENCE), 'all have gone')
    t.equal(table.sources, 1)
  })

  t.test('a node moves, unless there is no room at the other address', async (t) => {
    const table = new Registrations(limits)
    const node = registered(table, 1, 'a')
    registered(table, 2, 'b')
    registered(table, 3, 'b')
    t.equal(table.register(id(1), der, at('b'), 'b', 0, 0), undefined)
    t.match(table.find(id(1)), { host: 'a', port: 1000, source: 'a' })
    t.equal(table.register(id(1), der, at('c', 5), 'c', 3, 0), node)
    t.match(node, { host: 'c', port: 5, source: 'c', kind: 3 })
    t.ok(registered(table, 4, 'a'), 'the room that it has left')
    t.equal(table.sources, 3)
  })

  t.test('a kind that is not told is not forgotten', async (t) => {
    const table = new Registrations(limits)
    table.register(id(1), der, at('a'), 'a', 2, 0)
    t.equal(table.register(id(1), der, at('a'), 'a', 0, 0)?.kind, 2)
  })

  t.test('silence of 60 s', async (t) => {
    const table = new Registrations(limits)
    const [silent, heard] = [registered(table, 1, 'a'), registered(table, 2, 'a')]
    const gone: Registration[] = []
    t.equal(table.heard(id(2), at('a'), 59_999), heard)
    table.tick(59_999, (node) => { gone.push(node) })
    t.same(gone, [])
    table.tick(60_000, (node) => { gone.push(node) })
    t.same(gone, [silent])
    t.ok(silent.isGone)
    t.equal(table.find(id(1)), undefined)
    t.ok(registered(table, 3, 'a', 60_000), 'its room is free')
  })

  t.test('answers to keep-alives, once in 5 s', async (t) => {
    const table = new Registrations(limits)
    const node = registered(table, 1, 'a')
    t.ok(table.answers(node, 0))
    t.notOk(table.answers(node, 4999))
    t.ok(table.answers(node, 5000))
  })

  t.test('smaller limits leave those that are there', async (t) => {
    const table = new Registrations(limits)
    registered(table, 1, 'a')
    registered(table, 2, 'b')
    table.configure({ maxNodes: 1, maxNodesPerSource: 1 })
    t.equal(table.size, 2)
    t.ok(registered(table, 1, 'a'))
    t.notOk(table.hasRoom(id(3), 'c'))
  })
})

t.test('introductions', async (t) => {
  const nodes = new Registrations({ maxNodes: 10, maxNodesPerSource: 10 })
  const target = registered(nodes, 100, 't')
  const ask = (table: Introductions, requester: number, now: number, { source = 'r', seq = now } = {}) =>
    table.pass(idKey(id(requester)), target, { endpoint: at(source), source, seq, ts: now }, now)

  t.test('three of a pair in 5 s', async (t) => {
    const table = new Introductions()
    for (const now of [0, 1000, 2000]) t.type(ask(table, 1, now), 'object')
    t.equal(ask(table, 1, 4999), 'repeated')
    t.equal(table.refusal(idKey(id(1)), target, 'r', 4999), 'repeated')
    t.type(ask(table, 2, 4999), 'object', 'another pair')
    t.type(ask(table, 1, 5000), 'object', 'the first one is 5 s ago')
    t.equal(ask(table, 1, 5999), 'repeated')
    t.type(ask(table, 1, 6000), 'object')
  })

  t.test('one session for 10 s; the next one does not reset the three', async (t) => {
    const table = new Introductions()
    const first = ask(table, 1, 0) as Introduction
    t.equal(ask(table, 1, 9000), first)
    t.equal(ask(table, 1, 9999), first)
    const second = ask(table, 1, 10_000) as Introduction
    t.notSame(second.session, first.session)
    t.equal(ask(table, 1, 10_001), 'repeated')
    t.equal(table.find(idKey(first.session)), first, 'T may still answer the first one')
    t.ok(answeredRequest(first, { seq: 9999, ts: 9999 }))
  })

  t.test('an answer has the seq and ts of a request that was passed', async (t) => {
    const table = new Introductions()
    const introduction = ask(table, 1, 5) as Introduction
    t.equal(table.find(idKey(introduction.session)), introduction)
    t.match(answeredRequest(introduction, { seq: 5, ts: 5 }), { seq: 5, ts: 5, endpoint: at('r'), isAnswered: false })
    t.equal(answeredRequest(introduction, { seq: 5, ts: 6 }), undefined)
    t.equal(answeredRequest(introduction, { seq: 6, ts: 5 }), undefined)
    t.equal(table.find(idKey(new Uint8Array(16))), undefined)
  })

  t.test('unanswered ones of one address', async (t) => {
    const table = new Introductions()
    const unanswered: Introduction[] = []
    for (let i = 0; i < 1024; i++) unanswered.push(ask(table, i, 0) as Introduction)
    t.equal(ask(table, 1024, 0), 'full')
    t.type(ask(table, 1024, 0, { source: 'other' }), 'object', 'another address')
    for (let i = 0; i < 2; i++) table.answered(unanswered[0], unanswered[0].requests[0])
    t.type(ask(table, 1025, 0), 'object')
    t.equal(ask(table, 1026, 0), 'full', 'answered counts once')
    const lost: Introduction[] = []
    table.tick(19_999, (introduction) => { lost.push(introduction) })
    t.equal(lost.length, 0)
    table.tick(20_000, (introduction) => { lost.push(introduction) })
    t.equal(lost.length, 1025)
    t.equal(table.size, 0)
    t.type(ask(table, 1026, 20_000), 'object')
  })

  t.test('unanswered ones of an IPv6 site', async (t) => {
    const table = new Introductions()
    for (let i = 0; i < 4096; i++) ask(table, i, 0, { source: `2001:db8:1:${i >> 8}::/64` })
    t.equal(ask(table, 5000, 0, { source: '2001:db8:1:ffff::/64' }), 'full')
    t.type(ask(table, 5000, 0, { source: '2001:db8:2:ffff::/64' }), 'object')
  })

  t.test('in all: the oldest one makes room', async (t) => {
    const table = new Introductions()
    const first = ask(table, 0, 0, { source: 's0' }) as Introduction
    for (let i = 1; i <= 65_536; i++) ask(table, i, 0, { source: `s${i >> 9}` })
    t.equal(table.size, 65_536)
    t.equal(table.find(idKey(first.session)), undefined)
  })
})

t.test('sessions', async (t) => {
  const sessionLimits = { maxSessions: 3, maxSessionsPerNode: 2, byteRate: 1000 }
  const nodes = new Registrations({ maxNodes: 100, maxNodesPerSource: 100 })
  const node = Array.from({ length: 12 }, (_, i) => registered(nodes, i, i < 10 ? 'a' : `a${i}`))

  t.test('one for a pair, whoever asks', async (t) => {
    const table = new Sessions(sessionLimits)
    const session = table.open(node[0], node[1], 0) as ProxySession
    t.equal(table.open(node[1], node[0], 0), session)
    t.equal(table.find(session.id), session)
    t.equal(table.find(Uint8Array.from(session.id, (byte, i) => i === 15 ? byte ^ 1 : byte)), undefined, 'the same first bytes')
    const end = endAt(session, Buffer.concat([Buffer.alloc(5), node[1].id]), 5)
    t.equal(end?.registration, node[1])
    t.equal(end && otherOf(session, end).registration, node[0])
    t.equal(endAt(session, node[2].id, 0), undefined)
  })

  t.test('bounds: of who has asked, and in total', async (t) => {
    const table = new Sessions(sessionLimits)
    table.open(node[0], node[1], 0)
    table.open(node[0], node[2], 0)
    t.equal(table.refusal(node[0], node[3]), 'owner')
    t.equal(table.open(node[0], node[3], 0), 'owner')
    t.type(table.open(node[3], node[0], 0), 'object', 'others may ask for it')
    t.equal(table.refusal(node[4], node[5]), 'full')
    t.equal(table.refusal(node[0], node[1]), undefined, 'there is one')
  })

  t.test('bounds: of an IPv6 site, four times those of an address', async (t) => {
    const site = Array.from({ length: 17 }, (_, i) => registered(nodes, 200 + i, `2001:db8:1:${i >> 1}::/64`))
    const table = new Sessions({ ...sessionLimits, maxSessions: 100, maxSessionsPerNode: 1 })
    for (const one of site.slice(0, 16)) t.type(table.open(one, node[10], 0), 'object')
    t.equal(table.open(site[16], node[10], 0), 'owner')
    t.type(table.open(node[0], node[10], 0), 'object', 'another address')
    table.tick(SESSION_SILENCE, () => {})
    t.type(table.open(site[16], node[10], SESSION_SILENCE), 'object')
  })

  t.test('bounds: of an address', async (t) => {
    const table = new Sessions({ ...sessionLimits, maxSessions: 100, maxSessionsPerNode: 1 })
    for (const i of [0, 1, 2, 3]) table.open(node[i], node[10], 0)
    t.equal(table.open(node[4], node[10], 0), 'owner')
    t.type(table.open(node[11], node[10], 0), 'object')
  })

  t.test('bytes: nodes of one address have four times those of one together', async (t) => {
    const table = new Sessions({ ...sessionLimits, maxSessions: 100, maxSessionsPerNode: 100, byteRate: 1_000_000 })
    const sessions = [0, 1].map((i) => table.open(node[i], node[10], 0) as ProxySession)
    const [{ ends: [one, far] }, { ends: [other] }] = sessions
    t.equal(one.address, other.address)
    t.not(one.sender, other.sender)
    t.not(one.address, far.address)
    t.equal(one.address.bytes.rate, 4_000_000)
    table.configure({ ...sessionLimits, byteRate: 500_000 }, 0)
    t.equal(one.address.bytes.rate, 2_000_000)
    table.tick(60_000, () => {})
    t.not((table.open(node[2], node[10], 60_000) as ProxySession).ends[0].address, one.address, 'forgotten with the last session')
  })

  t.test('silence of 60 s', async (t) => {
    const table = new Sessions(sessionLimits)
    const session = table.open(node[0], node[1], 0) as ProxySession
    session.heardAt = 10
    const gone: ProxySession[] = []
    table.tick(60_009, (one) => { gone.push(one) })
    t.same(gone, [])
    table.tick(60_010, (one) => { gone.push(one) })
    t.same(gone, [session])
    t.equal(table.find(session.id), undefined)
    t.equal(table.ofPair(node[0], node[1]), undefined)
    for (const i of [1, 2]) t.type(table.open(node[0], node[i], 60_010), 'object', 'room for as many as before')
  })

  t.test('another rate counts at once', async (t) => {
    const table = new Sessions({ ...sessionLimits, byteRate: 1_000_000 })
    const { ends: [{ sender }] } = table.open(node[0], node[1], 0) as ProxySession
    t.equal(sender.bytes.rate, 1_000_000)
    table.configure({ ...sessionLimits, byteRate: 2_000_000 }, 0)
    t.equal(sender.bytes.rate, 2_000_000)
    t.equal((table.ofPair(node[0], node[1]) as ProxySession).bytes.rate, 2_000_000)
  })
})

t.test('which data is passed on', async (t) => {
  t.test('again, at most once in 100 ms', async (t) => {
    const window = new PassWindow(0)
    t.equal(window.refusal(1, 0), undefined)
    t.ok(window.pass(1, 0))
    t.equal(window.refusal(1, 99), 'again')
    t.equal(window.refusal(1, 100), undefined)
    t.notOk(window.pass(1, 100), 'not for the first time')
    t.equal(window.refusal(1, 199), 'again')
  })

  t.test('inside a window of 1024', async (t) => {
    const window = new PassWindow(0)
    t.equal(window.refusal(0, 0), 'old', 'numbers begin with 1')
    window.pass(2000, 0)
    t.equal(window.refusal(976, 0), 'old')
    t.equal(window.refusal(977, 0), undefined)
    t.ok(window.pass(977, 0))
    t.equal(window.refusal(977, 50), 'again')
    window.pass(2001, 50)
    t.equal(window.refusal(977, 500), 'old')
  })

  t.test('numbers that were left out are not those of the turn before', async (t) => {
    const window = new PassWindow(0)
    for (let seq = 1; seq <= 1024; seq++) window.pass(seq, 0)
    window.pass(1027, 10)
    for (const seq of [1025, 1026]) t.ok(window.pass(seq, 10), String(seq))
    t.notOk(window.pass(1024, 200))
    window.pass(Number.MAX_SAFE_INTEGER, 10)
    t.ok(window.pass(Number.MAX_SAFE_INTEGER - 1023, 10))
  })
})

t.test('steps: the last ones of a node, and nodes to which something has happened lately', async (t) => {
  const histories = new Histories()
  for (let i = 0; i < 10; i++) histories.add('a', i, (_other, _endpoint, kind) => String(kind), { kind: i })
  t.same(histories.of('a').map(({ text }) => text), ['2', '3', '4', '5', '6', '7', '8', '9'])
  t.same(histories.of('b'), [])
  for (let i = 0; i < 4095; i++) histories.add(`n${i}`, 0, () => '')
  histories.add('a', 10, () => 'again')
  histories.add('one more', 0, () => '')
  t.equal(histories.size, 4096)
  t.equal(histories.of('a').at(-1)?.text, 'again')
  t.same(histories.of('n0'), [])
})
