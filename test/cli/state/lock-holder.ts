/** Holds a lock until it is killed. */
import { acquireLock } from '../../../src/cli/state/state-lock.ts'

const lock = await acquireLock(process.argv[2])
console.log(lock === undefined ? 'refused' : 'locked')
setInterval(() => {}, 2 ** 30)
