import t from 'tap'
import { IpBlocker } from '../../../../src/nodes/rustdesk/rendezvous/ip-blocker.ts'
import { IpChanges } from '../../../../src/nodes/rustdesk/rendezvous/ip-changes.ts'
import { PunchLog } from '../../../../src/nodes/rustdesk/rendezvous/punch-log.ts'
import { RelayServers } from '../../../../src/nodes/rustdesk/rendezvous/relay-servers.ts'
import { runCommand, type ConsoleState } from '../../../../src/nodes/rustdesk/rendezvous/console.ts'
import { readRendezvous } from '../../../../src/nodes/rustdesk/rendezvous/settings.ts'
import { ManualClock } from '../../../helpers/clock.ts'

function makeState (): ConsoleState & { clock: ManualClock } {
  return { settings: readRendezvous({}, {}), clock: new ManualClock(), blocker: new IpBlocker(), changes: new IpChanges(), punches: new PunchLog(), relays: new RelayServers() }
}

t.test('relays', async (t) => {
  const state = makeState()
  t.equal(runCommand(state, 'rs'), '')
  t.equal(runCommand(state, 'relay-servers a.example,b.example:5,,no/host'), '')
  t.equal(runCommand(state, ' relay-servers\r\n'), 'a.example\nb.example:5\n')
  t.equal(runCommand(state, 'tg 192.0.2.1'), '"a.example"', 'takes it')
  t.equal(runCommand(state, 'test-geo 192.0.2.1 2001:db8::1'), '"b.example:5"')
  t.equal(runCommand(state, 'tg 192.0.2.1 nonsense'), '')
  t.equal(runCommand(state, 'tg'), '')
})

t.test('always by a relay, which leaves the relays alone', async (t) => {
  const state = makeState()
  runCommand(state, 'rs a.example')
  t.equal(runCommand(state, 'aur'), 'ALWAYS_USE_RELAY: false\n')
  t.equal(runCommand(state, 'always-use-relay Y'), '')
  t.equal(runCommand(state, 'aur'), 'ALWAYS_USE_RELAY: true\n')
  t.equal(runCommand(state, 'aur N'), '')
  t.equal(runCommand(state, 'aur'), 'ALWAYS_USE_RELAY: false\n')
  t.equal(runCommand(state, 'rs'), 'a.example\n')
})

t.test('addresses whose registrations are counted', async (t) => {
  const state = makeState()
  for (let i = 0; i < 25; i++) state.blocker.allows(`192.0.2.${i}`, 'an id', state.clock.now())
  state.blocker.allows('192.0.2.0', 'an id', state.clock.now())
  await state.clock.pass(2500)
  t.equal(runCommand(state, 'ib 192.0.2.0'), '25\n1/2s 1/2s\n')
  t.equal(runCommand(state, 'ip-blocker').split('\n').length, 12)
  t.equal(runCommand(state, 'ib 20'), `25\n${[21, 22, 23, 24, 0].map((i) => `192.0.2.${i}: ${i === 0 ? '1/2s 1/2s' : '0/2s 0/2s'}\n`).join('')}`)
  t.equal(runCommand(state, 'ib 192.0.2.7 -'), '25\n0/2s 0/2s\n')
  t.equal(runCommand(state, 'ib 192.0.2.7'), '24\n')
  t.equal(runCommand(state, 'ib 100'), '24\n')
})

t.test('peers that have moved', async (t) => {
  const state = makeState()
  for (const ip of ['192.0.2.1', '192.0.2.2', '192.0.2.1']) state.changes.add('123456789', ip, state.clock.now())
  state.changes.add('one address', '192.0.2.1', state.clock.now())
  await state.clock.pass(1000)
  const shown = '1s {"192.0.2.1": 2, "192.0.2.2": 1}'
  t.equal(runCommand(state, 'ic'), `1\n123456789: ${shown}\n`)
  t.equal(runCommand(state, 'ip-changes 123456789'), `1\n${shown}\n`, 'a number of more than 10 000 000 is an id')
  t.equal(runCommand(state, 'ic 1'), '1\n')
  t.equal(runCommand(state, 'ic 123456789 -'), `1\n${shown}\n`)
  t.equal(runCommand(state, 'ic'), '0\n')
})

t.test('punches', async (t) => {
  const state = makeState()
  for (let i = 0; i < 12; i++) state.punches.add({ date: i * 1000 + 7, from: '192.0.2.1', id: `peer\n${i}`, to: '192.0.2.2' })
  const pages = runCommand(state, 'pr')
  t.equal(pages.split('\n').length, 11)
  t.equal(pages.split('\n')[1].startsWith('1970-01-01T00:00:01Z 192.0.2.1 -> peer'), true)
  t.equal(runCommand(state, 'punch-requests 10').split('\n').length, 3)
  t.equal(runCommand(state, 'pr 3 2').split('\n').length, 3)
  t.equal(runCommand(state, 'pr 3 0').split('\n').length, 10)
  t.equal(runCommand(state, 'pr -'), '')
  t.equal(runCommand(state, 'pr'), '')
})

t.test('what is no command', async (t) => {
  const state = makeState()
  for (const text of ['', 'nonsense', 'reload-geo', 'toString', '__proto__', 'constructor x']) t.equal(runCommand(state, text), '')
  t.equal(runCommand(state, 'h').split('\n').length, 8)
})
