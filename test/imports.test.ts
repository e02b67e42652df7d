/** How files import each other: no circles, also of types; and each folder only what is below it. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'

const root = fileURLToPath(new URL('../', import.meta.url))
const src = join(root, 'src')

/** Files of ours that each file imports, `import type` and dynamic imports included. */
const imports = new Map(readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).map((name) => {
  const file = join(src, name)
  const { importedFiles } = ts.preProcessFile(readFileSync(file, 'utf8'))
  return [name, importedFiles.filter(({ fileName }) => fileName.startsWith('.')).map(({ fileName }) => relative(src, resolve(dirname(file), fileName)))]
}))

/** Files that import each other, by the algorithm of Tarjan. */
function circles (graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = []
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const open: string[] = []
  const visit = (file: string): number => {
    const number = order.size
    order.set(file, number)
    lowest.set(file, number)
    open.push(file)
    for (const next of graph.get(file) ?? []) {
      const reached = !order.has(next) ? visit(next) : open.includes(next) ? order.get(next) as number : Infinity
      lowest.set(file, Math.min(lowest.get(file) as number, reached))
    }
    if (lowest.get(file) === number) {
      const circle = open.splice(open.indexOf(file))
      if (circle.length > 1) found.push(circle)
    }
    return lowest.get(file) as number
  }
  for (const file of graph.keys()) if (!order.has(file)) visit(file)
  return found
}

/** Imports from one folder, or file, into another. */
const between = (from: RegExp, to: RegExp): string[] =>
  [...imports].filter(([file]) => from.test(file)).flatMap(([file, all]) => all.filter((other) => to.test(other)).map((other) => `${file} -> ${other}`))

t.test('circles are found', async (t) => {
  t.same(circles(new Map([['a', ['b']], ['b', ['c', 'd']], ['c', ['a']], ['d', []]])), [['a', 'b', 'c']])
  t.same(circles(new Map([['a', ['b', 'c']], ['b', ['c']], ['c', []]])), [])
})

t.test('there are none', async (t) => {
  t.ok(imports.size > 200)
  t.same(circles(imports), [])
})

t.test('imports point down', async (t) => {
  t.same(between(/^(?!cli\/)/, /^cli\//), [], 'the library knows no command line')
  t.same(between(/^(?!cli\/|nodes\/)/, /^nodes\//), [], 'what nodes are made of knows no node')
  for (const name of ['candy', 'gotunnel', 'natpass', 'rustdesk', 'stun']) t.same(between(new RegExp(`^nodes/${name}/`), new RegExp(`^nodes/(?!${name}/|common/)`)), [], `${name} knows no other node`)
  t.same(between(/^nodes\/common\//, /^nodes\/(?!common\/)/), [], 'what nodes have in common knows none of them')
  t.same(between(/^nodes\/\w+\/peer\//, /^nodes\/\w+\/relay\//), [], 'a peer knows no relay')
  t.same(between(/^nodes\/\w+\/relay\//, /^nodes\/\w+\/peer\//), [], 'a relay knows no peer')
  t.same(between(/^nodes\/\w+\/protocol\//, /^nodes\/\w+\/(relay|peer)\//), [], 'a protocol knows neither')
  t.same(between(/^(streams|limits|buffers|net|text|crypto)\//, /^(transforms|transports|tun|nat)\//), [])
  t.same(between(/^net\//, /^(streams|limits|crypto)\//), [], 'the network knows no streams')
  t.same(between(/^crypto\//, /^(streams|limits|buffers|text)\//), [], 'cryptography knows none either')
  t.same(between(/^transforms\//, /^(transports|tun|nat)\//), [])
  t.same(between(/^nat\//, /^(transports|tun|crypto)\//), [], 'traversal of NATs knows no sockets')
  t.same(between(/^(transports|tun)\//, /^nat\//), [])
})
