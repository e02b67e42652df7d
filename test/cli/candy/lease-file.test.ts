import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openLeases, type LeaseFile } from '../../../src/cli/candy/lease-file.ts'
import type { Logger } from '../../../src/log.ts'
import { parseAddress } from '../../../src/net/ipv4.ts'
import { until } from '../../helpers/ends.ts'

function recorder (): { log: Logger, warnings: Array<{ text: string, reason?: string }> } {
  const warnings: Array<{ text: string, reason?: string }> = []
  return { warnings, log: { debug () {}, info () {}, error () {}, warn (fields, text) { warnings.push({ text, ...fields }) } } }
}

const grant = ({ leases }: LeaseFile, device: string, address: string): void => { leases.table('/a').grant(device, parseAddress(address) ?? 0) }

t.test('leases are there again', async (t) => {
  const dir = join(t.testdir(), 'state')
  const file = join(dir, 'candy-relay/leases.json')
  const { log, warnings } = recorder()
  const first = await openLeases(dir, log)
  grant(first, 'aaaaaaaaaaaaaaaa', '10.0.0.5')
  grant(first, '\0\u00ff"\\ 01234567890', '10.0.0.6')
  await until(() => existsSync(file))
  t.equal((statSync(file).mode & 0o777).toString(8), '600')
  t.same(JSON.parse(readFileSync(file, 'utf8')), { '/a': [['aaaaaaaaaaaaaaaa', '10.0.0.5'], ['\0\u00ff"\\ 01234567890', '10.0.0.6']] }, 'soon after the change, whether or not the end is orderly')
  grant(first, 'bbbbbbbbbbbbbbbb', '10.0.0.7')
  await first.close()
  const second = await openLeases(dir, log)
  const table = second.leases.table('/a')
  t.same([table.size, table.addressOf('bbbbbbbbbbbbbbbb'), table.addressOf('\0\u00ff"\\ 01234567890')], [3, parseAddress('10.0.0.7'), parseAddress('10.0.0.6')])
  await second.close()
  t.same(warnings, [])
})

t.test('two relays with one file', async (t) => {
  const dir = t.testdir()
  const { log, warnings } = recorder()
  const first = await openLeases(dir, log)
  const second = await openLeases(dir, log)
  grant(second, 'aaaaaaaaaaaaaaaa', '10.0.0.5')
  await second.close()
  t.notOk(existsSync(join(dir, 'candy-relay/leases.json')))
  t.match(warnings, [{ text: /^the leases are in use by another relay/ }])
  await first.close()
})

for (const [what, text] of Object.entries({ 'cut off': '{"/a":[["x","10.0', empty: '', list: '[]', 'no address': '{"/a":[["x","10.0.0.300"]]}', 'no pair': '{"/a":[["x"]]}' })) {
  t.test(`damaged: ${what}`, async (t) => {
    const dir = t.testdir({ 'candy-relay': { 'leases.json': text } })
    const { log, warnings } = recorder()
    const file = await openLeases(dir, log)
    t.match(warnings, [{ text: /^the leases cannot be read/, reason: 'it is damaged' }])
    grant(file, 'aaaaaaaaaaaaaaaa', '10.0.0.5')
    await file.close()
    t.same(JSON.parse(readFileSync(join(dir, 'candy-relay/leases.json'), 'utf8')), { '/a': [['aaaaaaaaaaaaaaaa', '10.0.0.5']] }, 'and whole again')
  })
}

t.test('no place to keep them', async (t) => {
  const { log, warnings } = recorder()
  for (const dir of [undefined, join(t.testdir({ file: '' }), 'file')]) {
    const file = await openLeases(dir, log)
    grant(file, 'aaaaaaaaaaaaaaaa', '10.0.0.5')
    t.equal(file.leases.table('/a').size, 1, 'they are good for this run')
    await file.close()
  }
  t.match(warnings, [{ text: /^leases cannot be kept/ }, { text: /^leases cannot be kept/ }])
})

t.test('a file that cannot be written is one warning, and is written as soon as it can be', async (t) => {
  const dir = t.testdir()
  const { log, warnings } = recorder()
  const file = await openLeases(dir, log)
  mkdirSync(join(dir, 'candy-relay/leases.json.new')) // in the way
  grant(file, 'aaaaaaaaaaaaaaaa', '10.0.0.5')
  await until(() => warnings.length > 0)
  t.match(warnings, [{ text: 'the leases cannot be saved' }])
  rmSync(join(dir, 'candy-relay/leases.json.new'), { recursive: true, force: true })
  await file.close()
  t.ok(existsSync(join(dir, 'candy-relay/leases.json')), 'nothing is lost')
})

/** A disk of a few kilobytes, mounted for the test. */
function smallDisk (t: Test): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'tunpipe-disk-'))
  t.teardown(() => { rmdirSync(folder) })
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', folder], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  t.teardown(() => { execFileSync('umount', ['-l', folder]) })
  return folder
}

t.test('a full disk', async (t) => {
  const dir = smallDisk(t)
  if (dir === undefined) {
    if (process.env.CI === 'true') t.fail('a disk could not be mounted')
    else t.comment('skipped: mounting a disk takes root')
    return
  }
  const { log, warnings } = recorder()
  const file = await openLeases(dir, log)
  grant(file, 'aaaaaaaaaaaaaaaa', '10.0.0.5')
  const path = join(dir, 'candy-relay/leases.json')
  await until(() => existsSync(path))
  try {
    writeFileSync(join(dir, 'filler'), Buffer.alloc(1 << 20))
  } catch {} // it is meant to fill the disk
  for (let i = 0; i < 200; i++) grant(file, `device ${String(i).padStart(9)}`, `10.0.1.${i}`)
  await until(() => warnings.length > 0)
  t.match(warnings, [{ text: 'the leases cannot be saved', reason: 'no space left on device' }])
  t.same(JSON.parse(readFileSync(path, 'utf8')), { '/a': [['aaaaaaaaaaaaaaaa', '10.0.0.5']] }, 'the last whole file stays')
  rmSync(join(dir, 'filler'))
  await file.close()
  t.equal(JSON.parse(readFileSync(path, 'utf8'))['/a'].length, 201)
})
