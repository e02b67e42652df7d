/** Tokens, and who they stand for. */
import fc from 'fast-check'
import t from 'tap'
import { systemClock } from '../../../src/streams/clock.ts'
import { Identities, sameProof, type Identity } from '../../../src/nodes/gotunnel/relay/identities.ts'
import { readRelay, type IdentityInit, type VerifiedIdentity } from '../../../src/nodes/gotunnel/relay/settings.ts'

const verifyIdentities = (identities: IdentityInit[]): VerifiedIdentity[] => readRelay({ identities }).identities

const alice = { name: 'alice', token: 'first secret' }
const bob = { name: 'bob', token: 'second secret' }

function made (...inits: IdentityInit[]): Identities {
  const identities = new Identities(systemClock)
  identities.configure(verifyIdentities(inits))
  return identities
}

const found = (identities: Identities, token: string): Identity | undefined => identities.find(identities.proofOf(token))

t.test('defaults', async (t) => {
  const [[settings, token]] = verifyIdentities([alice])
  t.match(settings, { name: 'alice', ports: { text: '1024-65535' }, maxPorts: 64, maxUsers: Infinity, byteRate: undefined })
  t.equal(token, alice.token)
  t.match(verifyIdentities([{ ...bob, ports: '22', maxPorts: 1, maxUsers: 2, byteRate: 1 }]), [[{ ports: { text: '22' }, maxPorts: 1, maxUsers: 2, byteRate: 1 }]])
  t.match(verifyIdentities([{ ...bob, maxUsers: Infinity }]), [[{ maxUsers: Infinity }]])
})

t.test('what cannot be is refused, and no token is told', async (t) => {
  const bad: Record<string, IdentityInit[]> = {
    none: [],
    'one name twice': [alice, { ...bob, name: 'alice' }],
    'one token twice': [alice, { ...bob, token: alice.token }],
    'both twice': [alice, alice],
    'far apart': [alice, bob, { name: 'carol', token: 'third' }, { name: 'dave', token: bob.token }],
    ...Object.fromEntries(['', ' ', 'a b', '-a', '.a', '_a', 'é', 'a\n', 'a/b', 'a:b', 'x'.repeat(65), '__proto__'].map((name) => [`name ${JSON.stringify(name)}`, [{ ...alice, name }]])),
    'no token': [{ ...alice, token: '' }],
    'a token too long': [{ ...alice, token: `${alice.token}${'x'.repeat(1024)}` }],
    ...Object.fromEntries([0, -1, 1.5, NaN, -Infinity, 2 ** 53].flatMap((count) => [[`maxPorts ${count}`, [{ ...alice, maxPorts: count }]], [`maxUsers ${count}`, [{ ...alice, maxUsers: count }]]])),
    ...Object.fromEntries([0, -1, NaN, Infinity].map((byteRate) => [`byteRate ${byteRate}`, [{ ...alice, byteRate }]])),
    ...Object.fromEntries(['', '0', '65536', '2-1', 'x'].map((ports) => [`ports ${ports}`, [{ ...alice, ports }]])),
    'the last one': [alice, bob, { name: 'carol', token: 'third', maxPorts: 0 }]
  }
  for (const [what, inits] of Object.entries(bad)) {
    try {
      verifyIdentities(inits)
      t.fail(what)
    } catch (err) {
      t.match(err, { code: 'ERR_OPTION' }, what)
      t.notMatch((err as Error).message, /secret|third/, 'without the token')
    }
  }
  for (const name of ['a', 'A1', '0', 'a.b_c@d-e', 'x'.repeat(64), 'constructor', 'toString']) t.doesNotThrow(() => verifyIdentities([{ ...alice, name }]), name)
  t.doesNotThrow(() => verifyIdentities([{ ...alice, token: ' ' }, { ...bob, token: 'x'.repeat(600) }]))
})

t.test('a token is found, and nothing that is only like it', async (t) => {
  const identities = made(alice, bob, { name: 'carol', token: 'é中\ufffd' })
  t.equal(found(identities, alice.token)?.name, 'alice')
  t.equal(found(identities, bob.token)?.name, 'bob')
  t.equal(found(identities, 'é中\ufffd')?.name, 'carol')
  t.equal(found(identities, 'é中\ud800')?.name, 'carol', 'as it would be on the wire')
  for (const token of ['', ' ', 'alice', 'first secre', 'first secret ', 'First secret', 'first secret\0', 'x'.repeat(4000)]) t.equal(found(identities, token), undefined, JSON.stringify(token.slice(0, 20)))
})

t.test('proofs are of one process and of one token', async (t) => {
  const [one, other] = [made(alice), made(alice)]
  t.ok(sameProof(one.proofOf('x'), one.proofOf('x')))
  t.notOk(sameProof(one.proofOf('x'), one.proofOf('y')))
  t.notOk(sameProof(one.proofOf('x'), other.proofOf('x')))
  t.equal(other.find(one.proofOf(alice.token)), undefined)
  t.notOk(one.proofOf(alice.token).toString('latin1').includes(alice.token))
})

t.test('other settings: an identity lives as long as its name', async (t) => {
  const identities = made(alice, { ...bob, maxPorts: 3 })
  const [a, b] = [...identities]
  t.same([a.name, b.name], ['alice', 'bob'])
  a.ports = 2
  a.traffic.accepted = 7
  const proof = identities.proofOf(alice.token)

  t.same(identities.configure(verifyIdentities([{ name: 'carol', token: 'third' }, { ...alice, token: 'another', ports: '22', maxUsers: 5 }])), [b], 'who is there no more')
  t.equal(found(identities, 'another'), a, 'the same, with another token')
  t.match(a, { ports: 2, traffic: { accepted: 7 }, settings: { ports: { text: '22' }, maxUsers: 5, maxPorts: 64 } })
  t.equal(identities.find(proof), undefined, 'the old token is worth nothing')
  t.equal(found(identities, bob.token), undefined)
  t.same([...identities].map(({ name }) => name).sort(), ['alice', 'carol'])
  t.match(b.settings, { maxPorts: 3 }, 'who was removed stays as it was')

  t.same(identities.configure(verifyIdentities([alice, bob])).map(({ name }) => name), ['carol'])
  t.not(found(identities, bob.token), b, 'who comes back is another one')
  t.same(identities.configure(verifyIdentities([alice, bob])), [])
})

t.test('a token that goes from one to another', async (t) => {
  const identities = made(alice, bob)
  const [a, b] = [...identities]
  t.same(identities.configure(verifyIdentities([{ ...alice, token: bob.token }, { ...bob, token: alice.token }])), [])
  t.equal(found(identities, alice.token), b)
  t.equal(found(identities, bob.token), a)
})

t.test('a rate stays while it is the same, so that nothing passes twice', async (t) => {
  const identities = made({ ...alice, byteRate: 1000 }, bob)
  const [a, b] = [...identities]
  const { shaper } = a
  t.match(shaper, { forward: { rate: 1000 }, backward: { rate: 1000 } })
  t.not(shaper?.forward, shaper?.backward, 'each direction for itself')
  t.equal(b.shaper, undefined)
  identities.configure(verifyIdentities([{ ...alice, byteRate: 1000, maxPorts: 1 }, { ...bob, byteRate: 5 }]))
  t.equal(a.shaper, shaper)
  t.match(b.shaper, { forward: { rate: 5 } })
  identities.configure(verifyIdentities([{ ...alice, byteRate: 2000 }, bob]))
  t.match(a.shaper, { forward: { rate: 2000 }, backward: { rate: 2000 } })
  t.equal(b.shaper, undefined)
})

t.test('property: whatever the settings one after the other, the tokens of the last ones count, and names keep their identity', async (t) => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const token = fc.constantFrom('t1', 't2', 't3', 't4', 't5', 't6')
  const settings = fc.array(fc.record({ name, token }), { minLength: 1, maxLength: 6 }).filter((all) => new Set(all.map((one) => one.name)).size === all.length && new Set(all.map((one) => one.token)).size === all.length)
  fc.assert(fc.property(fc.array(settings, { minLength: 1, maxLength: 8 }), (changes) => {
    const identities = new Identities(systemClock)
    let known = new Map<string, Identity>()
    for (const inits of changes) {
      const removed = identities.configure(verifyIdentities(inits))
      const now = new Map([...identities].map((identity) => [identity.name, identity]))
      if (JSON.stringify([...now.keys()].sort()) !== JSON.stringify(inits.map((one) => one.name).sort())) return false
      for (const [name, identity] of known) if (now.has(name) ? now.get(name) !== identity : !removed.includes(identity)) return false
      if (removed.length !== [...known.keys()].filter((name) => !now.has(name)).length) return false
      for (const token of ['t1', 't2', 't3', 't4', 't5', 't6']) {
        if (found(identities, token)?.name !== inits.find((one) => one.token === token)?.name) return false
      }
      known = now
    }
    return true
  }), { numRuns: 200 })
})
