/** Tables of options: what a node makes of what callers give. */
import t from 'tap'
import { boolean, milliseconds, wholeNumber } from '../../../../src/nodes/common/options/checks.ts'
import { secretOption, sectionsOf } from '../../../../src/nodes/common/options/groups.ts'
import { readOptions, rejectBeside, rejectOption, rejectTwins, type InitOf, type Options, type SettingsOf } from '../../../../src/nodes/common/options/option.ts'
import { networkOptions as candyNetwork, relayOptions as candyRelay } from '../../../../src/nodes/candy/relay/options.ts'
import { peerOptions as candyPeer } from '../../../../src/nodes/candy/peer/options.ts'
import { relayOptions as gotunnelRelay } from '../../../../src/nodes/gotunnel/relay/options.ts'
import { peerOptions as gotunnelPeer } from '../../../../src/nodes/gotunnel/peer/options.ts'
import { relayOptions as natpassRelay } from '../../../../src/nodes/natpass/relay/options.ts'
import { peerOptions as natpassPeer } from '../../../../src/nodes/natpass/peer/options.ts'

const room = { name: secretOption({ noun: 'name', variable: 'TUNPIPE_NAME', help: 'whose it is' }), seats: { check: wholeNumber(1, 9), default: 4 } } as const satisfies Options
const house = {
  doors: { check: wholeNumber(1, 99), isRequired: true },
  isOpen: { check: boolean(), default: false },
  bell: { check: milliseconds() },
  guests: { check: wholeNumber(1, 9), default: Infinity },
  rooms: sectionsOf(room)
} as const satisfies Options

t.test('what is not given has its default, what is given is checked', async (t) => {
  t.same(readOptions(house, { doors: 2 }), { doors: 2, isOpen: false, bell: undefined, guests: Infinity, rooms: undefined })
  t.same(readOptions(house, { doors: '3', isOpen: true, bell: 5, guests: 9, rooms: [{}, { name: 'a', seats: 1 }] }), {
    doors: 3, isOpen: true, bell: 5, guests: 9, rooms: [{ name: undefined, seats: 4 }, { name: 'a', seats: 1 }]
  })
  const settings: SettingsOf<typeof house> = readOptions(house, { doors: 2, rooms: [{ seats: 2 }] })
  const again: InitOf<typeof house> = settings
  t.same(readOptions(house, again), settings, 'settings are options as well')
  t.same(readOptions(house, { ...settings, extra: 1 } as typeof again), settings, 'others are left out')
})

t.test('an error names the option by its path', async (t) => {
  const wrong: Array<[init: object, option: string, detail: RegExp]> = [
    [{}, 'doors', /^missing, expected 1 to 99$/],
    [{ doors: 0 }, 'doors', /^not a whole number in range \("0"\), expected 1 to 99$/],
    [{ doors: 2 ** 53 }, 'doors', /expected 1 to 99$/],
    [{ doors: 1.5 }, 'doors', /expected 1 to 99$/],
    [{ doors: NaN }, 'doors', /expected 1 to 99$/],
    [{ doors: 1, isOpen: 'yes' }, 'isOpen', /^not a boolean \("yes"\), expected true or false$/],
    [{ doors: 1, bell: '5' }, 'bell', /expected a whole number of 1 to 2147483647$/],
    [{ doors: 1, bell: 2 ** 31 }, 'bell', /expected a whole number of 1 to 2147483647$/],
    [{ doors: 1, guests: -Infinity }, 'guests', /expected 1 to 9$/],
    [{ doors: 1, rooms: [] }, 'rooms', /^empty, expected one section or more/],
    [{ doors: 1, rooms: 'a' }, 'rooms', /^not a list \("a"\), expected one section or more/],
    [{ doors: 1, rooms: [{}, { seats: 10 }] }, 'rooms.1.seats', /expected 1 to 9$/]
  ]
  for (const [init, option, detail] of wrong) {
    t.throws(() => readOptions(house, init as InitOf<typeof house>), { code: 'ERR_OPTION', option, detail, message: new RegExp(`^${option.replaceAll('.', '\\.')}: `) }, JSON.stringify(init))
  }
  t.throws(() => readOptions(room, { name: 7 as unknown as string }), { code: 'ERR_OPTION', detail: 'not text, expected text (put digits in quotes)' }, 'a secret is not repeated')
})

t.test('a list of sections: no option of theirs beside it, and no two of one name', async (t) => {
  rejectBeside({ seats: undefined, name: undefined }, room, 'rooms', rejectOption)
  t.throws(() => { rejectBeside({ seats: 4 }, room, 'rooms', rejectOption) }, { code: 'ERR_OPTION', option: 'seats', detail: 'of no use beside rooms, expected below one of them' })
  rejectTwins([{ name: 'a' }, {}, { name: 'b' }, {}], 'name', ['rooms'], 'room', rejectOption)
  t.throws(() => { rejectTwins([{ name: 'a' }, { name: 'b' }, { name: 'a' }], 'name', ['rooms'], 'room', rejectOption) }, { code: 'ERR_OPTION', option: 'rooms.2.name', detail: /^the name a is that of another room as well/ })
})

/** The least that each node has to be given. */
const nodes: Record<string, [options: Options, init: Record<string, unknown>]> = {
  'candy network': [candyNetwork, { password: 'x', dhcp: '10.0.0.7/24', sdwan: '10.0.0.0/24,10.1.0.0/16,10.0.0.2' }],
  'candy relay': [candyRelay, { listen: 'ws://[::1]:0', password: 'x' }],
  'candy peer': [candyPeer, { url: 'ws://h/', password: 'x', address: '10.0.0.2/24', routes: 'private,10.1.0.0/16' }],
  'gotunnel relay': [gotunnelRelay, { listen: 'tls://[::1]:0', ports: [1, '5-7'], identities: [{ name: 'a', token: 'x' }] }],
  'gotunnel peer': [gotunnelPeer, { server: 'h:1', maps: ['1:2', '3:[::1]:4'] }],
  'natpass relay': [natpassRelay, { listen: '[::1]:0', secret: 'x', rules: ['allow:a:any:shell,tcp', 'deny:any:any:any'] }],
  'natpass peer': [natpassPeer, { server: 'h:1', secret: 'x', id: 'nas', allow: ['shell', 'tcp,udp@laptop'], legacyMd5: 'hex', rules: [{ name: 'web', target: 'b', type: 'tcp', remotePort: '80' }] }]
}

t.test('every node: its settings are options as well, its defaults pass its checks', async (t) => {
  for (const [name, [options, init]] of Object.entries(nodes)) {
    const settings = readOptions(options, init)
    t.same(readOptions(options, settings), settings, name)
    for (const [key, { check, default: fallback, isRequired }] of Object.entries(options)) {
      if (fallback !== undefined && fallback !== Infinity && !Array.isArray(fallback)) t.ok(check.safeParse(fallback).success, `${name}: the default of ${key}`)
      if (isRequired === true) t.throws(() => readOptions(options, { ...init, [key]: undefined }), { code: 'ERR_OPTION', option: key, detail: /^missing, expected / }, `${name}: ${key}`)
    }
  }
})

t.test('what natpass takes for rules and allowances', async (t) => {
  const rules = (...rules: string[]): unknown => readOptions(natpassRelay, { listen: 'h:1', secret: 'x', rules }).rules
  t.same(rules('allow:laptop:nas:shell,tcp', 'deny:any:any:any'), [
    { allow: true, from: 'laptop', to: 'nas', types: ['shell', 'tcp'] },
    { allow: false, from: undefined, to: undefined, types: ['tcp', 'udp', 'shell', 'vnc', 'bench', 'code'] }
  ])
  for (const wrong of ['', 'allow', 'allow:a:b', 'permit:a:b:tcp', 'allow:a:b:ssh', 'allow::b:tcp', 'allow:a:server:tcp', 'allow:a:b:tcp:x', 'allow:a:b:']) t.throws(() => rules(wrong), { code: 'ERR_OPTION', option: 'rules' }, wrong)
  const allow = (...allow: string[]): unknown => readOptions(natpassPeer, { server: 'h:1', secret: 'x', id: 'a', allow }).allow
  t.same(allow('shell,tcp', 'any@laptop'), [{ from: undefined, types: ['shell', 'tcp'] }, { from: 'laptop', types: ['tcp', 'udp', 'shell', 'vnc', 'bench', 'code'] }])
  for (const wrong of ['', 'ssh', 'shell@', 'shell@server', '@a', 'shell;tcp']) t.throws(() => allow(wrong), { code: 'ERR_OPTION', option: 'allow' }, wrong)
  for (const id of ['', 'server', 'any', 'a b', 'x'.repeat(65), 'é']) t.throws(() => readOptions(natpassPeer, { server: 'h:1', secret: 'x', id }), { code: 'ERR_OPTION', option: 'id' }, id)
})
