import t from 'tap'
import { Redactor } from '../../../src/cli/process/redactor.ts'
import { createLogger } from '../../../src/cli/process/logger.ts'

function record ({ secrets, ...init }: { level?: string, json?: boolean, pretty?: boolean, secrets?: string[] }) {
  const lines: string[] = []
  return { lines, log: createLogger({ level: 'info', json: false, pretty: false, redactor: new Redactor(secrets), ...init, write: (line) => { lines.push(line) } }) }
}

t.test('JSON lines for programs, prose for people', async (t) => {
  const json = record({})
  json.log.info({ peers: 2 }, 'peer joined')
  json.log.debug({}, 'unheard')
  t.equal(json.lines.length, 1)
  t.match(JSON.parse(json.lines[0]), { level: 30, peers: 2, msg: 'peer joined' })

  const people = record({ pretty: true })
  people.log.warn({ peers: 2 }, 'peer left')
  t.match(people.lines.join(''), /WARN.*peer left/s)
  t.throws(() => JSON.parse(people.lines[0]))

  const asked = record({ pretty: true, json: true })
  asked.log.info({}, 'x')
  t.match(JSON.parse(asked.lines[0]), { msg: 'x' }, '--json wins over the terminal')
})

t.test('secrets under their names', async (t) => {
  const { log, lines } = record({})
  log.info({ password: 'abc', init: { token: 'abc', deep: { secret: 'abc' } } }, 'x')
  t.notMatch(lines[0], /abc/)
  t.match(JSON.parse(lines[0]), { password: '[redacted]', init: { token: '[redacted]' } })
})

t.test('secrets anywhere', async (t) => {
  const secret = 'k7 "mq"/x2'
  for (const pretty of [false, true]) {
    const { log, lines } = record({ pretty, secrets: [secret] })
    log.error({ url: `ws://h/${encodeURIComponent(secret)}`, err: new Error(`bad ${secret}`) }, `got ${secret}`)
    const text = lines.join('')
    t.notMatch(text, /k7/)
    t.match(text, /\[redacted\]/)
    if (!pretty) t.match(JSON.parse(text), { msg: 'got [redacted]' })
  }
})

t.test('a short or numeric secret does not damage the lines', async (t) => {
  const { log, lines } = record({ secrets: ['30', '', '1234567'] })
  log.info({ port: 1234567 }, 'a')
  t.match(JSON.parse(lines[0]), { level: 30, port: 1234567, msg: 'a' })
})
