/** Shells of one client leave room for those of others (natpass protocol, section 4.3). */
import t from 'tap'
import { until } from '../../../helpers/ends.ts'
import { join, type NatpassClient } from '../../../helpers/natpass/client.ts'
import { ended, isType, request } from '../../../helpers/natpass/messages.ts'
import { startPeer } from '../../../helpers/natpass/peers.ts'
import { skipWithoutPty } from '../../../helpers/natpass/pty.ts'
import { serve } from '../../../helpers/natpass/serve.ts'

/** Why a shell is refused, or an empty text. */
async function ask (client: NatpassClient, link: string): Promise<string> {
  client.send(request('nas', link))
  const { crep } = await client.next((message) => message.link_id === link && isType('connectRep')(message))
  return crep?.ok === true ? '' : crep?.msg ?? 'refused'
}

t.test('32 of a client', { skip: skipWithoutPty }, async (t) => {
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: ['shell'] })
  const [laptop, phone] = [await join(t, port, 'laptop'), await join(t, port, 'phone')]
  const asked = await Promise.all(Array.from({ length: 40 }, (_, i) => ask(laptop, `link${i}`)))
  t.same(asked.slice(0, 32), Array(32).fill(''), 'those that are being started count as well')
  t.same(asked.slice(32), Array(8).fill('32 shells of this client are open here'))
  t.equal(await ask(phone, 'phone'), '')
  laptop.send(ended('nas', 'link7'))
  await until(() => nas.stats.links === 32)
  t.equal(await ask(laptop, 'again'), '')
})
