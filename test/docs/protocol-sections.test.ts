/** Citations of protocol sections lead to a heading of `docs/protocols`, and the links and vectors of these documents exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const FOLDER = 'docs/protocols'

/** Protocols that are cited and whose document is still to come. */
const PENDING: ReadonlySet<string> = new Set()

/** Section numbers by protocol, from the headings of its document. */
const sections = new Map(readdirSync(join(root, FOLDER)).filter((name) => name.endsWith('.md')).map((name) => [name.slice(0, -3), numbersOf(read(`${FOLDER}/${name}`))]))

function numbersOf (document: string): Set<string> {
  return new Set([...document.matchAll(/^#+ (\d+(?:\.\d+)*)\.? /gm)].map(([, number]) => number))
}

/** `section 1.2`, `sections 1.2, 2 and 3.1`, behind the name of a protocol or of another document. */
const CITATION = /(?:\b(RFC) \d+,? |\b([A-Za-z]+(?:-[a-z]+| CHAIN)?) protocol, )?\b[Ss]ections? (\d+(?:\.\d+)*(?:(?:,| and| to|, and) \d+(?:\.\d+)*)*)/g

interface Citation {
  protocol: string
  section: string
}

/** The protocol that a file is about, by its path. */
const protocolOf = (file: string): string | undefined => [...sections.keys()].find((name) => `/${file}`.includes(`/${name}/`) || file === `${FOLDER}/${name}.md`)

/**
 * The protocol sections that a text cites. RFCs are skipped. A section without a name belongs to `context`, the protocol that the file is
 * about; outside of such a file it belongs to another document.
 */
function citationsOf (text: string, context?: string): Citation[] {
  const joined = text.replaceAll(/\s*\n\s*(?:(?:\*|\/\/) )?/g, ' ') // a citation may go over two lines of a comment
  return [...joined.matchAll(CITATION)].flatMap(([, rfc, name, numbers]) => {
    const isNamed = name !== undefined && !/^(?:its|the|this)$/i.test(name)
    const protocol = isNamed ? name.toLowerCase().replaceAll(' ', '') : context
    if (rfc !== undefined || protocol === undefined) return []
    return [...numbers.matchAll(/[\d.]+/g)].map(([section]) => ({ protocol, section }))
  })
}

const isMissing = ({ protocol, section }: Citation): boolean => sections.get(protocol)?.has(section) !== true && !PENDING.has(protocol)

const files = ['README.md', 'CHANGELOG.md', ...['src', 'test', 'bench', 'examples', 'docs'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`)
)].filter((file) => /\.(?:ts|js|md)$/.test(file) && file !== relative(root, fileURLToPath(import.meta.url)))

const all = files.flatMap((file) => citationsOf(read(file), protocolOf(file)).map((citation) => ({ file, ...citation })))

t.test('all forms of citations are found, and those of RFCs are not', async (t) => {
  const forms: Array<[text: string, ...found: string[]]> = [
    ['candy protocol, section 1.2', 'candy 1.2'],
    ['(gotunnel protocol, sections 3 and 4).', 'gotunnel 3', 'gotunnel 4'],
    ['candy protocol, sections 1.9, 1.10 and 2', 'candy 1.9', 'candy 1.10', 'candy 2'],
    ['natpass protocol, sections 2 to 4', 'natpass 2', 'natpass 4'],
    ['SHOW CHAIN protocol, section 5; RustDesk protocol, section 6', 'showchain 5', 'rustdesk 6'],
    ['link-mux protocol, section 2', 'link-mux 2'],
    ['/**\n * of the message (candy protocol, section\n * 1.3). An', 'candy 1.3'],
    ['// candy protocol,\n  // section 1.4.', 'candy 1.4'],
    ['Section 4: connects', 'here 4'],
    ['what is forgiven (its protocol, section 2).', 'here 2'],
    ['RFC 6455, sections 5.2 to 5.6, RFC 6455 section 5.7']
  ]
  for (const [text, ...found] of forms) t.same(citationsOf(text, 'here').map(({ protocol, section }) => `${protocol} ${section}`), found, text)
  t.same(citationsOf('a mask (section 5.3)'), [], 'of another document')
})

t.test('each cited section has a heading', async (t) => {
  t.ok(all.filter(({ file }) => file.startsWith('src/')).length > 40, 'citations are found')
  t.ok(isMissing({ protocol: 'candy', section: '1.99' }))
  t.ok(isMissing({ protocol: 'carrot', section: '1' }))
  t.same(all.filter(isMissing).map(({ file, protocol, section }) => `${file}: ${protocol} protocol, section ${section}`), [])
  for (const protocol of PENDING) t.ok(all.some((citation) => citation.protocol === protocol) && !sections.has(protocol), `${protocol} is pending`)
})

t.test('section numbers are unique and in order', async (t) => {
  for (const protocol of sections.keys()) {
    const numbers = [...read(`${FOLDER}/${protocol}.md`).matchAll(/^#+ (\d+(?:\.\d+)*)\.? /gm)].map(([, number]) => number)
    const inOrder = [...new Set(numbers)].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    t.same(numbers, inOrder, protocol)
  }
})

t.test('relative links lead to a file, and to a heading of it', async (t) => {
  const anchorsOf = (file: string): string[] => [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, title]) => title.toLowerCase().replaceAll(/[^\w -]/g, '').replaceAll(' ', '-'))
  for (const protocol of sections.keys()) {
    const file = `${FOLDER}/${protocol}.md`
    const links = [...read(file).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)]
    t.ok(links.length > 0, `${file} has links`)
    for (const [, path, anchor] of links) {
      const target = path === '' ? file : join(dirname(file), path)
      t.ok(existsSync(join(root, target)), `${file}: ${target}`)
      if (anchor !== undefined && existsSync(join(root, target))) t.ok(anchorsOf(target).includes(anchor), `${file}: ${target}#${anchor}`)
    }
  }
})

t.test('each vector has a row in the document of its protocol', async (t) => {
  for (const protocol of sections.keys()) {
    const vectors: Array<{ name: string }> = JSON.parse(read(`test/vectors/${protocol}.json`))
    const [, table = ''] = read(`${FOLDER}/${protocol}.md`).split(/^\| vector \|.*$/m)
    t.same([...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name), vectors.map(({ name }) => name), protocol)
  }
})
