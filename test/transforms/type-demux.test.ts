import { pipe } from 'it-pipe'
import fc from 'fast-check'
import t from 'tap'
import { dispatch, typeDemux, type Handler } from '../../src/transforms/index.ts'
import { hex, toHex } from '../helpers/bytes.ts'
import { from } from '../helpers/links.ts'

t.test('the first byte picks the handler', async (t) => {
  const seen: string[] = []
  const receive = typeDemux<string>({
    0: (message, client) => { seen.push(`zero ${toHex(message)} ${client}`) },
    1: (message, client) => { seen.push(`one ${toHex(message)} ${client}`) },
    255: (message, client) => { seen.push(`last ${toHex(message)} ${client}`) }
  })
  receive(hex('00'), 'a')
  receive(hex('01ff'), 'b')
  receive(hex('ff01'), 'c')
  t.same(seen, ['zero 00 a', 'one 01ff b', 'last ff01 c'])
})

t.test('unknown types and empty messages', async (t) => {
  const strict = typeDemux({ 1: () => {} })
  for (const text of ['', '00', '02', 'ff']) {
    t.throws(() => { strict(hex(text)) }, { name: 'UnknownTypeError', code: 'ERR_UNKNOWN_TYPE' }, text)
  }
  const seen: string[] = []
  const lax = typeDemux({ 1: () => {} }, { unknown: (message) => { seen.push(toHex(message)) } })
  for (const text of ['', '00', '01', 'ff']) lax(hex(text))
  t.same(seen, ['', '00', 'ff'])
})

t.test('every byte reaches its handler and no other', async (t) => {
  fc.assert(fc.property(fc.uniqueArray(fc.nat(255)), fc.uint8Array({ maxLength: 3 }), (types, message) => {
    let got: number | undefined
    const handlers = Object.fromEntries(types.map((type) => [type, () => { got = type }]))
    typeDemux(handlers, { unknown: () => { got = -1 } })(message)
    return got === (message.length > 0 && types.includes(message[0]) ? message[0] : -1)
  }))
})

t.test('types read elsewhere: numbers of any size, and words', async (t) => {
  interface Message { type: number | string | undefined }
  const seen: unknown[] = []
  const note: Handler<number, Message> = ({ type }, context) => { seen.push([type, context]) }
  const receive = typeDemux<number, Message>({ 0: note, 7: note, 255: note, 256: note, 70000: note, '-1': note, login: note, 12: note }, {
    typeOf: ({ type }) => type,
    unknown: ({ type }) => { seen.push(type) }
  })
  const known = [0, 7, 255, 256, 70000, -1, 'login', '12', 12]
  const unknown = [undefined, 1, 7.5, 257, -2, NaN, Infinity, '', 'logout', 'toString', '__proto__', 'constructor']
  for (const type of known) receive({ type }, 5)
  t.same(seen.splice(0), known.map((type) => [type, 5]))
  for (const type of unknown) receive({ type }, 5)
  t.same(seen, unknown)
})

t.test('what can never work is refused when it is made', async (t) => {
  for (const type of ['256', 'login', '01', '-1', '1.5', '']) {
    t.throws(() => typeDemux({ [type]: () => {} }), { code: 'ERR_OPTION' }, type)
  }
  t.throws(() => typeDemux({ 1: undefined as any }), { code: 'ERR_OPTION' })
  t.throws(() => typeDemux({ a: 1 as any }, { typeOf: () => 'a' }), { code: 'ERR_OPTION' })
})

t.test('a whole source', async (t) => {
  const seen: string[] = []
  const receive = typeDemux<string>({ 1: (message, client) => { seen.push(client + toHex(message)) } })
  await dispatch(receive, '#')(from([[hex('01'), hex('0102')], [], [hex('0103')]]))
  t.same(seen, ['#01', '#0102', '#0103'])

  let count = 0
  await pipe(from([[hex('01')]]), dispatch(typeDemux({ 1: () => { count++ } })))
  t.equal(count, 1)

  let ended = false
  async function * source (): AsyncGenerator<Uint8Array[]> {
    try {
      yield [hex('02')]
    } finally {
      ended = true
    }
  }
  await t.rejects(pipe(source(), dispatch(receive, '#')), { code: 'ERR_UNKNOWN_TYPE' })
  t.ok(ended, 'the source is left')
})
