/** How much a test file takes of what is long: a sample in `npm test`, all in `npm run test:long`. The file says which, with the seed. */
import t from 'tap'
import { SEED } from './bytes.ts'

const isLong = process.env.TUNPIPE_LONG === '1'

/** @param what in the plural: `connections` */
export function sample (what: string, { short, long }: { short: number, long: number }): number {
  const count = isLong ? long : short
  t.comment(`sample: ${count}${isLong ? '' : ` of ${long}`} ${what}, seed ${SEED}`)
  return count
}

/** Mutations that a fuzz test tries. */
export const mutations = (): number => sample('mutations', { short: 10_000, long: 1_000_000 })
