import t from 'tap'
import { Reporter } from '../../../src/cli/gotunnel/report.ts'
import { createLogger } from '../../../src/cli/process/logger.ts'
import { Redactor } from '../../../src/cli/process/redactor.ts'
import { createOutput } from '../../../src/cli/process/output.ts'
import { ConnectError, RefusedError, type GotunnelRefusal } from '../../../src/nodes/gotunnel/index.ts'

function reporter (): { reporter: Reporter, lines: Array<Record<string, unknown>> } {
  const lines: Array<Record<string, unknown>> = []
  const log = createLogger({ level: 'info', json: true, pretty: false, redactor: new Redactor(), write: (line) => { lines.push(JSON.parse(line)) } })
  return { reporter: new Reporter({ secrets: [], log, out: createOutput(true, () => {}) }), lines }
}

t.test('the advice for a rejection goes by its code, whatever the text says', async (t) => {
  const advice: Array<[GotunnelRefusal, RegExp | undefined]> = [
    ['token', /; compare the token with that of the server$/], ['mode', /; leave out --mode compatible$/], ['no_strict', /; leave out --mode strict, /],
    ['port', /; have the server allow it /], ['name', /; give this peer another --name$/], ['replaced', /; end the other one, /], ['busy', undefined], ['other', undefined]
  ]
  for (const [code, pattern] of advice) {
    const { message, code: exit } = reporter().reporter.failure(new RefusedError('replaced: authentication failed', code)) as Error & { code?: string }
    t.match(message, pattern ?? /: replaced: authentication failed$/, code)
    t.equal(exit, 'ERR_GOTUNNEL_REFUSED')
  }
})

t.test('the advice for a certificate goes by the code of Node', async (t) => {
  const hintFor = (code: string): unknown => {
    const { reporter: it, lines } = reporter()
    it.offline(10_022, new ConnectError(Object.assign(new Error('self-signed: Altnames do not match certificate'), { code })), 1000)
    t.match(lines, [{ code: 1001, port: 10_022, wait: 1000 }])
    return lines[0].hint
  }
  for (const code of ['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY']) t.match(hintFor(code), /--ca FILE$/, code)
  t.match(hintFor('ERR_TLS_CERT_ALTNAME_INVALID'), /for another name: use that in --server$/)
  t.equal(hintFor('CERT_HAS_EXPIRED'), undefined)
  t.equal(hintFor('ECONNREFUSED'), undefined)
})
