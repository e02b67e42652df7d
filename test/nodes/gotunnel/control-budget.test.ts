/** A client that floods its control connection takes no more than its share. */
import t from 'tap'
import { freePorts } from '../../helpers/free-ports.ts'
import { until } from '../../helpers/ends.ts'
import { controlBudget } from '../../../src/nodes/gotunnel/control-budget.ts'
import { OTHER_TOKEN, ScriptedClient, startRelay } from './scripted-client.ts'
import { frameParts } from './wire.ts'

t.test('after a few messages the others have their turn, and beyond the rate they wait', async (t) => {
  let held = 0
  const pass = controlBudget(() => { held++ })
  const turns: number[] = []
  for (let i = 1; i <= 8192; i++) if (pass(1) !== undefined) turns.push(i)
  t.equal(turns[0], 32)
  t.equal(turns.length, 256)
  t.equal(held, 0, 'a burst as of thousands of users does not wait')
  for (let i = 0; i < 20_000; i++) {
    void pass(1)
    if (held > 0) break
  }
  t.equal(held, 1)
})

t.test('what makes no sense counts as well, and another client is answered meanwhile', async (t) => {
  const server = await startRelay(t)
  const [one, another] = await freePorts(2)
  const flood = await ScriptedClient.registered(t, server.port, { remotePort: one, strict: true })
  const client = await ScriptedClient.registered(t, server.port, { remotePort: another, strict: true, token: OTHER_TOKEN })
  const junk = Buffer.concat(Array.from({ length: 50_000 }, () => frameParts(Buffer.from('{}'))).flat())
  flood.control.write(junk)
  await until(() => server.relay.stats.heldMessages > 0)
  t.ok(await client.ping())
  await client.talk(t)
})
