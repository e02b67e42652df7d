import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readOriginalState } from '../../../src/cli/candy/original/state.ts'
import { openPeerState } from '../../../src/cli/candy/peer-state.ts'
import { replaceFile, replaceFileLater } from '../../../src/cli/state/state-file.ts'
import { defaultStateDir } from '../../../src/cli/state/state-dir.ts'
import type { Logger } from '../../../src/log.ts'

function recorder (): { log: Logger, warnings: string[] } {
  const warnings: string[] = []
  return { warnings, log: { debug () {}, info () {}, error () {}, warn (_, message) { warnings.push(message) } } }
}

const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8)

t.test('a peer is the same device again', async (t) => {
  const dir = join(t.testdir(), 'state')
  const { log, warnings } = recorder()
  const first = await openPeerState(dir, 'home', log)
  t.match(first.vmac, /^[0-9a-f]{16}$/)
  t.equal(first.address, undefined)
  const file = join(dir, 'candy/home.json')
  t.same(JSON.parse(readFileSync(file, 'utf8')), { vmac: first.vmac }, 'known before there is an address')
  first.remember('10.77.0.2/24')
  first.remember('10.77.0.9/24')
  t.same(JSON.parse(readFileSync(file, 'utf8')), { vmac: first.vmac, address: '10.77.0.9/24' })
  t.equal(mode(file), '600')
  t.equal(mode(dir), '700')
  t.equal(mode(join(dir, 'candy')), '700')
  await first.close()
  t.same(readdirSync(join(dir, 'candy')), ['home.json'], 'nothing else is left')

  const second = await openPeerState(dir, 'home', log)
  t.equal(second.vmac, first.vmac)
  t.equal(second.address, '10.77.0.9/24')
  const other = await openPeerState(dir, 'work', log)
  t.not(other.vmac, first.vmac, 'another name, another device')
  await Promise.all([second.close(), other.close()])
  t.same(warnings, [])
})

for (const [name, replace] of Object.entries({ replaceFile: async (file: string, text: string) => { replaceFile(file, text) }, replaceFileLater })) {
  t.test(`${name}: the file is replaced, not rewritten`, async (t) => {
    const dir = t.testdir({ 'a.json': 'old', folder: {} })
    const file = join(dir, 'a.json')
    const before = statSync(file, { bigint: true }).ino
    writeFileSync(join(dir, 'keep'), '') // so that the number of the old file is not given out again at once
    await replace(file, 'new')
    t.not(statSync(file, { bigint: true }).ino, before)
    t.equal(readFileSync(file, 'utf8'), 'new')
    t.equal(mode(file), '600')
    await t.rejects(replace(join(dir, 'folder'), 'x'))
    t.notOk(existsSync(join(dir, 'folder.new')), 'a failure leaves nothing')
  })
}

for (const [what, text] of Object.entries({
  'cut off': '{"vmac":"0123456789ab',
  empty: '',
  'no object': 'null',
  'a short vmac': '{"vmac":"0123"}',
  'upper case': '{"vmac":"0123456789ABCDEF"}',
  'no address': '{"vmac":"0123456789abcdef","address":"x"}'
})) {
  t.test(`damaged: ${what}`, async (t) => {
    const dir = t.testdir({ candy: { 'home.json': text } })
    const { log, warnings } = recorder()
    const state = await openPeerState(dir, 'home', log)
    t.match(state.vmac, /^[0-9a-f]{16}$/)
    t.not(state.vmac, '0123456789abcdef')
    t.equal(state.address, undefined)
    t.same(warnings, ['the state is damaged: this peer starts as a new device'])
    t.equal(JSON.parse(readFileSync(join(dir, 'candy/home.json'), 'utf8')).vmac, state.vmac, 'and it is whole again')
    await state.close()
  })
}

t.test('a folder that cannot be had', async (t) => {
  const dir = t.testdir({ file: '' })
  const { log, warnings } = recorder()
  const state = await openPeerState(join(dir, 'file'), 'home', log)
  t.match(state.vmac, /^[0-9a-f]{16}$/)
  t.match(warnings, [/^the state cannot be kept/])
  state.remember('10.77.0.2/24')
  await state.close()
})

t.test('saving fails later', async (t) => {
  const dir = t.testdir()
  const { log, warnings } = recorder()
  const state = await openPeerState(dir, 'home', log)
  mkdirSync(join(dir, 'candy/home.json.new'))
  state.remember('10.77.0.2/24')
  state.remember('10.77.0.3/24')
  t.same(warnings, ['the state cannot be saved'], 'once')
  rmSync(join(dir, 'candy/home.json.new'), { recursive: true, force: true })
  await state.close()
  t.match(JSON.parse(readFileSync(join(dir, 'candy/home.json'), 'utf8')), { address: '10.77.0.3/24' }, 'nothing is lost')
})

t.test('two peers with one state', async (t) => {
  const dir = t.testdir()
  const { log, warnings } = recorder()
  const first = await openPeerState(dir, 'home', log)
  const second = await openPeerState(dir, 'home', log)
  t.not(second.vmac, first.vmac)
  t.match(warnings, [/^the state is in use by another peer/])
  second.remember('10.77.0.3/24')
  t.same(JSON.parse(readFileSync(join(dir, 'candy/home.json'), 'utf8')), { vmac: first.vmac }, 'the second keeps off')
  await second.close()
  await first.close()
  const third = await openPeerState(dir, 'home', log)
  t.equal(third.vmac, first.vmac, 'free again')
  await third.close()
})

t.test('what the original client has kept', async (t) => {
  const folder = t.testdir({ vmac: { __noname__: '0123456789abcdef\n', broken: 'nonsense', own: 'fedcba9876543210' }, address: { __noname__: '192.168.202.7/24', broken: 'x' } })
  t.same(readOriginalState(undefined, folder), { vmac: '0123456789abcdef', address: '192.168.202.7/24' })
  t.same(readOriginalState('laptop', folder), { vmac: '0123456789abcdef', address: undefined }, 'the device is that of all clients of the machine')
  t.same(readOriginalState('own', folder), { vmac: 'fedcba9876543210', address: undefined }, 'older versions have one for each')
  t.same(readOriginalState('broken', folder), { vmac: undefined, address: undefined })
  t.same(readOriginalState(undefined, '/nowhere'), { vmac: undefined, address: undefined })

  const dir = t.testdir({ state: {} })
  const { log, warnings } = recorder()
  const inherited = { vmac: '0123456789abcdef', address: '192.168.202.7/24' }
  const first = await openPeerState(dir, 'home', log, inherited)
  t.match(first, inherited)
  await first.close()
  const later = await openPeerState(dir, 'home', log, { vmac: 'ffffffffffffffff' })
  t.match(later, { vmac: inherited.vmac }, 'once: then it has a state of its own')
  await later.close()
  t.match((await openPeerState(dir, 'other', log, {})).vmac, /^[0-9a-f]{16}$/)
  t.same(warnings, [])
})

t.test('where the state is', async (t) => {
  t.equal(defaultStateDir({ STATE_DIRECTORY: '/run/a:/run/b' }, 0), '/run/a')
  t.equal(defaultStateDir({}, 0), '/var/lib/tunpipe')
  t.equal(defaultStateDir({ XDG_STATE_HOME: '/home/u/s' }, 1000), '/home/u/s/tunpipe')
  t.match(defaultStateDir({ XDG_STATE_HOME: 'relative' }, 1000), /\/\.local\/state\/tunpipe$/)
  t.equal(defaultStateDir({}, 1000, () => { throw new Error('no such user') }), undefined)
})

t.test('a user without a home', async (t) => {
  const { log, warnings } = recorder()
  const state = await openPeerState(undefined, 'home', log)
  t.match(state.vmac, /^[0-9a-f]{16}$/)
  t.match(warnings, [/^the state cannot be kept/])
  await state.close()
})
