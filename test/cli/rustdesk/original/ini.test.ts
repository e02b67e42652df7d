import fc from 'fast-check'
import t from 'tap'
import { isIni, readIni } from '../../../../src/cli/rustdesk/original/ini.ts'

const values = (text: string): Record<string, string> => Object.fromEntries(readIni(text).lines.map(({ name, value }) => [name, value]))

t.test('names are the same in any spelling', async (t) => {
  t.same(values('relay-servers=a\nRelay_Servers = b\nMASK: 10.0.0.0/8\r\n  always-use-relay="Y" '), { RELAY_SERVERS: 'b', MASK: '10.0.0.0/8', ALWAYS_USE_RELAY: 'Y' })
})

t.test('values are taken as they are, but for quotes and escapes', async (t) => {
  t.same(values('KEY=abc=\nA=x # no comment\nB=" x "\nC=\'"\'\nD=a\\\\b\\tc\nE=\nF="open'), { KEY: 'abc=', A: 'x # no comment', B: ' x ', C: '"', D: 'a\\b\tc', E: '', F: '"open' })
})

t.test('comments, sections and other lines', async (t) => {
  t.same(readIni('\uFEFF# a comment\n ; another\n\nPORT=1\nno assignment\n=x\n[section]\nPORT=2'), { lines: [{ number: 4, name: 'PORT', value: '1' }], ignored: [5, 6, 7, 8] })
})

t.test('what is INI and what is YAML', async (t) => {
  const known = (name: string): boolean => name === 'PORT'
  for (const text of ['PORT=1', 'two words = 1', '# x\n\n; y\nanything = 1', 'port: 1', '\xef\xbb\xbfport=1', '[section]\nPORT=1']) t.equal(isIni(text, known), true, text)
  for (const text of ['', '# x', 'rustdesk:\n  port: 1', 'rustdesk: { port: 1 }', 'metrics: 9100', '- port=1', '{ a: b }']) t.equal(isIni(text, known), false, text)
})

t.test('any text can be read', async () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
    const { lines, ignored } = readIni(text)
    return lines.length + ignored.length <= text.split('\n').length
  }))
})
