/** code-server of another client: both ends and a relay (natpass protocol, sections 4.2, 4.3 and 6.6; cases 32 and 33 of section 8). */
import t from 'tap'
import { until } from '../../../../helpers/ends.ts'
import { installCodeServer, startCodeRule } from '../../../../helpers/natpass/code.ts'
import { isRunning } from '../../../../helpers/natpass/pty.ts'

installCodeServer(t)

t.test('a page of code-server, and its end', async (t) => {
  const { nas, laptop, browser } = await startCodeRule(t)
  t.match((await browser.get('/')).text, /<iframe id="code" src="\/forward\/ide\/"/)
  t.equal((await browser.get('/new')).text, 'ide')
  const opened = await browser.open('/forward/ide/?folder=/x')
  t.match(opened, { status: 307, headers: { location: /^\/forward\/ide\/\?folder=\/x&natpass_connection_id=[0-9a-f]{16}$/, 'set-cookie': [/; Path=\/forward\/ide\/; HttpOnly; SameSite=Strict$/] } })
  t.match(await browser.get(opened.headers.location ?? ''), { status: 200, text: 'hello' })
  const { pid } = JSON.parse((await browser.get('/forward/ide/request')).text)
  t.ok(isRunning(pid))
  t.match([nas.status().links, laptop.status().rules[0].links], [1, 1])
  await laptop.close()
  await until(() => !isRunning(pid) && nas.status().links === 0)
})
