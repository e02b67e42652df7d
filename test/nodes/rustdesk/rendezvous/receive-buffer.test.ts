import { execFileSync, spawnSync } from 'node:child_process'
import t from 'tap'
import { startRendezvous } from '../../../helpers/rustdesk/rendezvous.ts'

/** Bytes, of which Linux counts twice as many as were asked for. */
function bufferOf (port: number): number {
  const [, bytes] = /skmem:\(r\d+,rb(\d+),/.exec(execFileSync('ss', ['-uanmH', `sport = :${port}`], { encoding: 'utf8' })) ?? []
  return Number(bytes) / 2
}

t.test('the receive buffer has as many bytes as are asked for', { skip: process.platform !== 'linux' || spawnSync('ss', ['-V']).error !== undefined }, async (t) => {
  const { server } = await startRendezvous(t, { rmem: 65_536 })
  t.equal(bufferOf(server.ports.udp), 65_536)
  const { server: other } = await startRendezvous(t)
  t.ok(bufferOf(other.ports.udp) > 65_536)
})
