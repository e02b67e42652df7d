import t from 'tap'
import { chart, escape } from '../../bench/lib/chart.ts'
import { rowsOf, type LeftOut, type Row } from '../../bench/lib/row.ts'
import { launchChromium, skipWithoutChromium } from '../helpers/chromium.ts'

const LONG = 'a text that is longer than any line of a chart has room for, '.repeat(5)
const NASTY = '<b>&"\'\u0000\u001b\ud800]]>'

const rows: Row[] = [
  ...rowsOf('tun', { name: 'one stream', unit: 'Gbit/s' }, [
    { of: 'tunpipe, wss', ours: true, encrypted: true, values: [1, 3, 2], against: ['wireguard-go of 2026-05-22', 'wireguard-go 0.0.20220316', 'openvpn, UDP', 'openvpn, TCP', 'no tunnel'] },
    { of: 'wireguard-go of 2026-05-22', encrypted: true, values: [4, 4, 4] },
    { of: 'wireguard-go 0.0.20220316', encrypted: true, values: [0.5, 0.5, 0.5] },
    { of: 'openvpn, UDP', encrypted: true, values: [0.3, 0.3, 0.3] },
    { of: 'openvpn, TCP', encrypted: true, values: [0.4, 0.4, 0.4] },
    { of: 'no tunnel', encrypted: false, values: [18, 19, 18] }
  ]),
  ...rowsOf('tun', { name: 'nothing at all', unit: '%', lessIsBetter: true }, [{ of: 'a', values: [0] }, { of: 'b', values: [0, 0] }]),
  ...rowsOf('tun', { name: LONG, unit: 'packets/CPU-s' }, [{ of: LONG, ours: true, encrypted: true, values: [123_456_789], against: ['b', LONG] }, { of: 'b', values: [1] }, { of: LONG, values: [3] }])
]
const leftOut: LeftOut[] = [{ group: 'tun', of: 'socat', why: LONG, failed: false }]
const drawing = { title: 'tun', caption: ['2 x CPU', LONG], rows, leftOut }

t.test('escape', async (t) => {
  t.equal(escape('a <b> & "c" \'d\''), 'a &lt;b&gt; &amp; &quot;c&quot; \'d\'')
  t.equal(escape('a\u0000b\u001bc\ufffed\ud800e\udc00\ttab\nline'), 'a\ufffdb\ufffdc\ufffdd\ufffde\ufffd\ttab\nline')
  t.equal(escape('pairs 😀 stay'), 'pairs 😀 stay')
})

t.test('the same rows are the same text', async (t) => {
  t.equal(chart(drawing), chart(structuredClone(drawing)))
})

t.test('bars', async (t) => {
  const svg = chart({
    title: 'title',
    caption: ['machine'],
    rows: rowsOf('g', { name: 'case', unit: 's', lessIsBetter: true }, [
      { of: 'ours', ours: true, encrypted: true, values: [50], against: ['other'] },
      { of: 'other', encrypted: false, values: [100, 60, 140] },
      { of: 'none', values: [0] }
    ])
  })
  const widths = [...svg.matchAll(/<rect class="(ours|rival)"[^>]* width="([\d.]+)"/g)].map(([, kind, width]) => [kind, Number(width)] as const)
  const longest = widths[1][1] * 1.4
  t.same(widths.map(([kind]) => kind), ['ours', 'rival', 'rival'])
  t.ok(Math.abs(widths[0][1] - longest * 50 / 140) < 0.1, 'on one scale from 0')
  t.equal(widths[2][1], 0)
  t.equal(svg.match(/class="spread"/g)?.length, 1, 'a spread where there is one')
  for (const text of ['case, s (less is better)', '>encrypted<', '>not encrypted<', '0.5 x other', 'machine']) t.ok(svg.includes(text), text)
})

t.test('nothing measured', async (t) => {
  const svg = chart({ title: 'tun', caption: [], rows: [], leftOut: [{ group: 'tun', of: 'all of it', why: 'it needs root', failed: false }] })
  t.match(svg, /left out: all of it: it needs root/)
})

t.test('in a browser', { skip: skipWithoutChromium }, async (t) => {
  const browser = await launchChromium()
  t.teardown(() => browser.close())
  const page = await browser.newPage()

  const errors = (text: string): Promise<number> => page.evaluate(`new DOMParser().parseFromString(${JSON.stringify(text)}, 'image/svg+xml').querySelectorAll('parsererror').length`)
  const nasty = rowsOf(NASTY, { name: NASTY, unit: NASTY }, [{ of: NASTY, values: [1], encrypted: true, against: [NASTY] }])
  t.equal(await errors(chart({ title: NASTY, caption: [NASTY], rows: nasty, leftOut: [{ group: NASTY, of: NASTY, why: NASTY, failed: true }] })), 0, 'well-formed')
  t.equal(await errors('<svg>&'), 1, 'which this would notice')

  await page.setContent(chart(drawing))
  const outside = await page.evaluate(`[...document.querySelectorAll('svg text, svg rect, svg line')].filter((part) => {
    const { width, height } = document.querySelector('svg').viewBox.baseVal
    const box = part.getBBox()
    return box.x < 0 || box.y < 0 || box.x + box.width > width || box.y + box.height > height
  }).map((part) => part.textContent)`)
  t.same(outside, [], 'nothing is cut off')
  const overlaps = await page.evaluate(`(() => {
    const boxes = [...document.querySelectorAll('svg text')].map((part) => part.getBBox())
    return boxes.filter((a, i) => boxes.some((b, j) => j > i && a.x < b.x + b.width && b.x < a.x + a.width && a.y + 3 < b.y + b.height && b.y + 3 < a.y + a.height)).length
  })()`)
  t.equal(overlaps, 0, 'no text on another')

  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    const colours = await page.evaluate('[\'.ground\', \'text\', \'.small\', \'.ours\', \'.rival\'].map((what) => getComputedStyle(document.querySelector(\'svg \' + what)).fill)') as string[]
    const [ground, ...others] = colours.map(luminance)
    for (const other of others) t.ok(contrast(ground, other) >= 2.5, `${colorScheme}: ${colours.join(' ')}`)
    t.ok(contrast(ground, others[0]) >= 7 && contrast(ground, others[1]) >= 4.5, `${colorScheme}: text can be read`)
  }
})

/** Of `rgb(1, 2, 3)`, as WCAG defines it. */
function luminance (colour: string): number {
  const [red, green, blue] = [...colour.matchAll(/\d+/g)].map(([value]) => Number(value) / 255).map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

const contrast = (a: number, b: number): number => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
