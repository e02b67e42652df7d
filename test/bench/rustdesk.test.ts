import t from 'tap'
import { readRows } from '../../bench/rustdesk/rows.ts'

t.test('rows of the group', async (t) => {
  t.same([...readRows(undefined)], ['relay', 'presence', 'punches', 'registrations', 'peers'])
  t.same([...readRows('punches')], ['punches'])
  t.same([...readRows('peers,relay')], ['relay', 'peers'])
  for (const text of ['', 'punch', 'relay,', 'relay;peers']) t.throws(() => readRows(text), { message: /^BENCH_ROWS: no such rows: / }, text)
})
