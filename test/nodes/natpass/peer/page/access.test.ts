/** Who may use a page with a password: each path, and each WebSocket, of each kind (natpass protocol, sections 4.2 and 8, case 32). */
import t, { type Test } from 'tap'
import { testCodePage } from '../../../../helpers/natpass/code-page.ts'
import { testDesktopPage } from '../../../../helpers/natpass/desktop.ts'
import { testPage, type Answer } from '../../../../helpers/natpass/page.ts'

type Headers = Record<string, string>

interface Kind {
  start (t: Test): Promise<Started>
  /** Makes what the requests are for. Returns headers that they need besides those of the session. */
  open (started: Started, session: Headers): Promise<Headers>
  requests: ReadonlyArray<readonly [method: string, path: string]>
  upgrades: readonly string[]
}

interface Started {
  page: { readonly url: string }
  clock: { advance (ms: number): void }
  opened: ReadonlyArray<{ heard?: readonly unknown[], sizes?: readonly unknown[] }>
  ask (method: string, path: string, headers?: Headers, body?: string): Promise<Answer>
  refused (path: string, options?: { headers: Headers }): Promise<number>
}

const password = 'secret'

const opensByPost: Kind['open'] = async ({ ask }, session) => {
  const { body } = await ask('POST', '/new', session)
  if (body !== 'id0') throw new Error(body)
  return {}
}

const KINDS: Record<string, Kind> = {
  shell: { start: (t) => testPage(t, { password }), open: opensByPost, requests: [['POST', '/new'], ['POST', '/resize']], upgrades: ['/ws/id0', '/ws/none', '/'] },
  desktop: {
    start: (t) => testDesktopPage(t, { password }),
    open: opensByPost,
    requests: [['POST', '/new'], ['POST', '/ctrl'], ['GET', '/clipboard'], ['POST', '/clipboard']],
    upgrades: ['/ws/id0', '/ws/none', '/new']
  },
  code: {
    start: (t) => testCodePage(t, { password }),
    async open ({ ask }, session) {
      const { headers } = await ask('GET', '/forward/ide/', session)
      return { cookie: headers['set-cookie']?.[0].split(';')[0] ?? '' }
    },
    requests: [
      ['GET', '/new'], ['POST', '/new'], ['GET', '/info?id=id0'], ['GET', '/forward/ide/'], ['GET', '/forward/ide/?natpass_connection_id=id0'],
      ['GET', '/forward/ide/file'], ['HEAD', '/forward/ide/file'], ['POST', '/forward/ide/file'], ['DELETE', '/forward/ide/a/b'], ['GET', '/forward/ide/login'],
      ['GET', '/forward/other/'], ['GET', '/forward/ide'], ['GET', '/forward/ide/../../new']
    ],
    upgrades: ['/forward/ide/socket', '/forward/ide/', '/forward/other/', '/ws/none']
  }
}

const FOREIGN: readonly Headers[] = [{ origin: 'http://evil.example' }, { origin: 'null' }, { host: 'evil.example' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }]

/** All cookies in one header. */
const together = (...all: readonly Headers[]): Headers => ({ ...Object.assign({}, ...all), cookie: all.flatMap(({ cookie }) => cookie ?? []).join('; ') })

for (const [name, { start, open, requests, upgrades }] of Object.entries(KINDS)) {
  t.test(name, async (t) => {
    const started = await start(t)
    const { page, clock, opened, ask, refused } = started
    const refuses = async (status: number, headers: Headers, why: string): Promise<void> => {
      for (const [method, path] of requests) t.equal((await ask(method, path, headers)).status, status, `${method} ${path}: ${why}`)
      for (const path of upgrades) t.equal(await refused(path, { headers }), status, `WebSocket ${path}: ${why}`)
    }
    const heard = (): number => opened.reduce((sum, { heard = [], sizes = [] }) => sum + heard.length + sizes.length, opened.length)
    await refuses(401, {}, 'before any login')
    const { status, headers } = await ask('POST', '/login', {}, `password=${password}`)
    t.equal(status, 303)
    const cookie = headers['set-cookie']?.[0].split(';')[0] ?? ''
    const session = { cookie }
    const own = await open(started, session)
    const before = heard()
    await refuses(401, own, 'a link, without a session')
    const [key, secret] = cookie.split('=')
    for (const wrong of [`${key}=`, `${key}=${secret.slice(1)}`, `${key}0=${secret}`, `${key}=${'A'.repeat(secret.length)}`]) await refuses(401, together({ cookie: wrong }, own), `a wrong session, ${wrong}`)
    await refuses(401, { ...own, authorization: `Bearer ${secret}` }, 'the session in another header')
    t.match(await ask('GET', '/', own), { status: 200, body: /type="password"/ })
    for (const foreign of FOREIGN) {
      await refuses(403, together(session, own, foreign), JSON.stringify(foreign))
      t.equal((await ask('GET', '/', together(session, foreign))).status, 403)
      t.equal((await ask('POST', '/login', foreign, `password=${password}`)).status, 403, 'nor a login')
    }
    t.equal(heard(), before, 'nothing was opened, and nothing passed on')
    t.notMatch((await ask('GET', '/', together(session, { origin: page.url, 'sec-fetch-site': 'same-origin' }))).body, /type="password"/)
    t.equal(await refused('/ws/none', { headers: together(session, { origin: page.url }) }), 404, 'who is in learns what is not there')
    clock.advance(12 * 60 * 60 * 1000)
    await refuses(401, together(session, own), 'a session that is over')
  })
}
