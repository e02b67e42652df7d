/** The page of a bench rule: measurements, and the password where there is one (natpass protocol, section 4.2). */
import t, { type Test } from 'tap'
import { serveBenchPage } from '../../../../../src/nodes/natpass/peer/page/bench-page.ts'

async function page (t: Test, password?: string): Promise<{ url: string, measured: () => number }> {
  let measured = 0
  const served = await serveBenchPage({ host: '127.0.0.1', port: 0, password, measure: async () => `id${++measured}` })
  t.teardown(() => served.close())
  return { url: served.url, measured: () => measured }
}

const basic = (pair: string): Record<string, string> => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` })

t.test('each request, on any path, is a measurement', async (t) => {
  const { url } = await page(t)
  t.equal(await (await fetch(url)).text(), 'id1')
  t.equal(await (await fetch(`${url}/any/path`, { method: 'POST' })).text(), 'id2')
  t.equal((await fetch(url, { headers: { origin: 'http://evil.example' } })).status, 403)
})

t.test('with a password, by HTTP Basic and by the cookie of its answer', async (t) => {
  const { url, measured } = await page(t, 'a: password')
  for (const headers of [{}, basic('no colon'), { authorization: 'Basic ===' }, { authorization: 'Bearer x' }, { cookie: 'natpass-1=x' }]) {
    const refused = await fetch(url, { headers })
    t.equal(refused.status, 401)
    t.match(refused.headers.get('www-authenticate'), /^Basic /)
  }
  t.equal((await fetch(url, { headers: basic(':wrong') })).status, 401)
  t.equal(measured(), 0, 'nothing was measured')
  const taken = await fetch(url, { headers: basic('whoever:a: password') })
  t.equal(await taken.text(), 'id1')
  const [cookie] = String(taken.headers.get('set-cookie')).split(';')
  t.match(taken.headers.get('set-cookie'), /HttpOnly; SameSite=Strict/)
  t.equal(await (await fetch(url, { headers: { cookie } })).text(), 'id2')
})

t.test('guesses are bounded', async (t) => {
  const { url, measured } = await page(t, 'secret')
  const statuses: number[] = []
  for (let i = 0; i < 12; i++) statuses.push((await fetch(url, { headers: basic(`:guess ${i}`) })).status)
  t.same(statuses.slice(0, 10), new Array(10).fill(401))
  t.same(statuses.slice(10), [429, 429])
  t.equal((await fetch(url, { headers: basic(':secret') })).status, 429, 'the right one has to wait as well')
  t.equal(measured(), 0)
})
