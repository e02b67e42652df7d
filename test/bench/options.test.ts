import t from 'tap'
import { help, readOptions } from '../../bench/lib/options.ts'

const GROUPS = ['relay', 'gotunnel', 'tun', 'layers']
const NOTHING = { groups: GROUPS, full: false, json: false, charts: false, fetch: false, help: false, rounds: undefined }

t.test('what may be said', async (t) => {
  t.same(readOptions([], GROUPS), NOTHING)
  t.same(readOptions(['tun', '--full'], GROUPS), { ...NOTHING, groups: ['tun'], full: true })
  t.same(readOptions(['layers', 'relay', 'layers'], GROUPS).groups, ['relay', 'layers'], 'each once, in their order')
  t.same(readOptions(['--json', '--charts', '--fetch', '--rounds', '7'], GROUPS), { ...NOTHING, json: true, charts: true, fetch: true, rounds: 7 })
  t.equal(readOptions(['--rounds=2'], GROUPS).rounds, 2)
  t.equal(readOptions(['-h'], GROUPS).help, true)
})

t.test('what may not', async (t) => {
  const refused: Array<[args: string[], text: RegExp]> = [
    [['tum'], /no such group: tum; did you mean tun\? There are relay, gotunnel, tun, layers/],
    [['zebra'], /no such group: zebra There are/],
    [['--ful'], /no such option: --ful; did you mean --full\?/],
    [['--cahrts'], /did you mean --charts\?/],
    [['-x'], /no such option: -x/],
    [['--full=yes'], /--full takes no value/],
    [['--no-full'], /no such option: --no-full/],
    [['--rounds'], /--rounds: a whole number from 1 to 1000/],
    [['--rounds', '0'], /--rounds/],
    [['--rounds', '1.5'], /--rounds/],
    [['--rounds', 'many'], /--rounds/],
    [['--rounds', '1001'], /--rounds/]
  ]
  for (const [args, text] of refused) t.throws(() => readOptions(args, GROUPS), { code: 'ERR_USAGE', message: text }, args.join(' '))
})

t.test('help names every group and option', async (t) => {
  const text = help({ relay: 'what a relay costs', tun: 'packets' })
  for (const part of ['relay     what a relay costs', 'tun       packets', '--full', '--rounds', '--json', '--charts', '--fetch']) t.ok(text.includes(part), part)
})
