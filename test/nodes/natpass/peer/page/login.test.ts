/** Passwords and sessions. */
import t from 'tap'
import { ManualClock } from '../../../../helpers/clock.ts'
import { Login } from '../../../../../src/nodes/natpass/peer/page/login.ts'

const cookieOf = async (login: Login, source = 'a'): Promise<string> => {
  const result = await login.attempt('secret', source)
  if (result.is !== 'ok') throw new Error(result.is)
  return result.cookie.split(';')[0]
}

t.test('a session', async (t) => {
  const clock = new ManualClock()
  const login = new Login('secret', 'natpass-80', clock)
  for (const password of ['', 'secre', 'secret ', 'Secret']) t.same(await login.attempt(password, 'x'), { is: 'wrong' })
  const result = await login.attempt('secret', 'a')
  t.match(result, { is: 'ok', cookie: /^natpass-80=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/ })
  const cookie = await cookieOf(login)
  t.ok(login.isIn(cookie))
  t.ok(login.isIn(`other=1; ${cookie}; natpass-8080=x`), 'among others')
  t.ok(login.isIn(`natpass-80=stale; ${cookie}`))
  for (const header of [undefined, '', 'natpass-80=', 'natpass-80=x', cookie.slice(0, -1), `x${cookie}`, cookie.replace('80', '81')]) t.notOk(login.isIn(header), String(header))
  clock.advance(12 * 60 * 60 * 1000 - 1)
  t.ok(login.isIn(cookie))
  clock.advance(1)
  t.notOk(login.isIn(cookie), 'it ends')
})

t.test('the table is bounded', async (t) => {
  const login = new Login('secret', 'x', new ManualClock())
  const cookies: string[] = []
  for (let i = 0; i < 65; i++) cookies.push(await cookieOf(login))
  t.equal(new Set(cookies).size, 65)
  t.notOk(login.isIn(cookies[0]))
  t.ok(cookies.slice(1).every((cookie) => login.isIn(cookie)))
})

t.test('wrong passwords are throttled', async (t) => {
  const clock = new ManualClock()
  const login = new Login('secret', 'x', clock)
  for (let i = 0; i < 10; i++) t.equal((await login.attempt('wrong', '127.0.0.1')).is, 'wrong')
  t.equal((await login.attempt('secret', '127.0.0.1')).is, 'throttled', 'also the right one, as it would confirm a guess')
  t.equal((await login.attempt('secret', '192.0.2.1')).is, 'ok', 'others are not concerned')
  clock.advance(6000)
  t.equal((await login.attempt('secret', '127.0.0.1')).is, 'ok')
})

t.test('many at once: those in excess are turned away, and none passes the bound of wrong passwords', async (t) => {
  const login = new Login('secret', 'x', new ManualClock())
  await cookieOf(login)
  const results = await Promise.all(Array.from({ length: 20 }, () => login.attempt('wrong', 'a')))
  const count = (is: string): number => results.filter((result) => result.is === is).length
  t.same([count('wrong'), count('throttled'), count('busy')], [10, 6, 4])
  t.equal((await login.attempt('secret', 'b')).is, 'ok', 'then there is room again')
})
