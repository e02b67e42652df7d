/** What others make of the files: Wireshark's own program reads them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { over, stack } from '../../../src/layer.ts'
import { capture, captureFile, lengthPrefix, u16be, type CaptureInit } from '../../../src/transforms/index.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import { packet } from '../../helpers/candy/client.ts'
import { ManualClock } from '../../helpers/clock.ts'
import { bytes, failureOf, first } from '../../helpers/ends.ts'
import { readCapture } from '../../helpers/pcapng.ts'
import { skipWithoutTshark, tshark } from '../../helpers/tshark.ts'
import { version } from '../../../src/version.ts'

const interfaces: CaptureInit['interfaces'] = [{ linkType: 'user0', name: 'wire' }, { linkType: 'raw', name: 'packets of 10.77.0.0/24' }]

/** The wanted fields of each packet of a file that is read without complaint. */
async function fields (t: Test, file: string, ...names: string[]): Promise<string[][]> {
  const { stdout, complaints } = await tshark(file, '-n', '-T', 'fields', ...names.flatMap((name) => ['-e', name]))
  t.equal(complaints, '')
  return stdout.trimEnd().split('\n').map((line) => line.split('\t'))
}

t.test('tshark', { skip: skipWithoutTshark }, async (t) => {
  await t.test('two joints of a stack', async (t) => {
    const file = join(t.testdir(), 'stack.pcapng')
    const clock = new ManualClock({ date: 1_577_836_800_123 })
    const { recorder, close } = await captureFile(file, { interfaces, clock })
    clock.advance(0.456)
    const [here, there] = memoryPair()
    const packets = over(here, stack(capture(recorder), lengthPrefix(u16be), capture(recorder, { interface: 1 })))
    const echo = over(there, lengthPrefix(u16be))
    packets.port.send([packet('10.77.0.1', '10.77.0.2', 1), packet('10.77.0.1', '192.0.2.7', 100)])
    echo.port.send([packet('10.77.0.2', '10.77.0.1', 2)])
    await first(packets.source)
    t.strictSame(await close(), { reason: 'ended' })

    t.strictSame(await fields(t, file, 'frame.number', 'frame.interface_id', 'frame.interface_name', 'frame.packet_flags_direction', 'frame.len', 'ip.src', 'ip.dst', 'frame.time_epoch'), [
      ['1', '0', 'wire', '0x00000002', '145', '', ''],
      ['2', '1', interfaces[1].name, '0x00000002', '21', '10.77.0.1', '10.77.0.2'],
      ['3', '1', interfaces[1].name, '0x00000002', '120', '10.77.0.1', '192.0.2.7'],
      ['4', '0', 'wire', '0x00000001', '24', '', ''],
      ['5', '1', interfaces[1].name, '0x00000001', '22', '10.77.0.2', '10.77.0.1']
    ].map((line) => [...line, '1577836800.123456000']))

    const { stdout, complaints } = await tshark(file, '-n', '-T', 'json')
    t.equal(complaints, '')
    const layers = JSON.parse(stdout).map(({ _source }: { _source: { layers: object } }) => _source.layers)
    t.equal(layers.length, 5)
    t.match(layers[0], { frame: { 'frame.protocols': 'user_dlt:data' } })
    t.match(layers[2], { frame: { 'frame.protocols': /^raw:ip:udp/ }, ip: { 'ip.src': '10.77.0.1', 'ip.dst': '192.0.2.7' } })
  })

  await t.test('packets of all lengths, cut and empty ones among them', async (t) => {
    const file = join(t.testdir(), 'lengths.pcapng')
    const { recorder, close } = await captureFile(file, { interfaces, snapLength: 60 })
    const sizes = Array.from({ length: 100 }, (_, size) => size)
    recorder.record(sizes.map((size) => bytes(size, size)), 'in')
    await close()
    const read = await fields(t, file, 'frame.len', 'frame.cap_len')
    t.strictSame(read, sizes.map((size) => [String(size), String(Math.min(size, 60))]))
  })

  await t.test('the largest packet', async (t) => {
    const file = join(t.testdir(), 'large.pcapng')
    const { recorder, close } = await captureFile(file, { interfaces })
    recorder.record([bytes(262_144, 1), bytes(262_145, 2), bytes(3, 3)], 'out')
    await close()
    t.strictSame(await fields(t, file, 'frame.len', 'frame.cap_len'), [['262144', '262144'], ['262145', '262144'], ['3', '3']])
  })

  await t.test('a file that is full, and one with nothing in it', async (t) => {
    const folder = t.testdir()
    const full = join(folder, 'full.pcapng')
    const { recorder, finished } = await captureFile(full, { interfaces, maxBytes: 5000 })
    while (!recorder.full) recorder.record([packet('10.77.0.1', '10.77.0.2', 100)], 'in', 1)
    await finished
    const read = await fields(t, full, 'ip.src')
    t.equal(read.length, recorder.stats.packets)
    t.ok(read.every(([source]) => source === '10.77.0.1'))

    const empty = join(folder, 'empty.pcapng')
    await (await captureFile(empty, { interfaces })).close()
    t.strictSame(await tshark(empty), { stdout: '', complaints: '' })
    t.equal(readCapture(readFileSync(empty)).application, `tunpipe ${version}`)
  })
  await t.test('it would tell of a damaged file', async (t) => {
    const file = join(t.testdir(), 'damaged.pcapng')
    const { recorder, close } = await captureFile(file, { interfaces })
    recorder.record([bytes(100)], 'in')
    await close()
    const good = readFileSync(file)
    writeFileSync(file, good.subarray(0, good.length - 4))
    t.match(await failureOf(tshark(file)), { message: /cut short/ })
  })
})
