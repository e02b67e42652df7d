import t from 'tap'
import { tellBuffer } from '../../../src/cli/rustdesk/receive-buffer.ts'

const warningsOf = (bytes: number | undefined, limit: string, capabilities: string): string[] => {
  const warnings: string[] = []
  tellBuffer(bytes, (message) => { warnings.push(message) }, (file) => file.endsWith('rmem_max') ? limit : `Name:\tnode\nCapEff:\t${capabilities}\nThreads:\t1\n`)
  return warnings
}

t.test('less than is asked for', async (t) => {
  t.same(warningsOf(52_428_800, '212992\n', '0000000000000000'), ['rmem is 52428800, and net.core.rmem_max 212992: the buffer has no more than that; sysctl -w net.core.rmem_max=52428800 allows it'])
  t.same(warningsOf(52_428_800, '212992\n', '000001ffffffefff').length, 1, 'all rights but that one')
})

t.test('no reason to warn', async (t) => {
  t.same(warningsOf(52_428_800, '212992\n', '0000000000001000'), [], 'CAP_NET_ADMIN')
  t.same(warningsOf(212_992, '212992\n', '0000000000000000'), [])
  t.same(warningsOf(undefined, '212992\n', '0000000000000000'), [])
  t.same(warningsOf(52_428_800, 'unknown', '0000000000000000'), [], 'another system')
})
