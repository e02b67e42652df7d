import { runGroup } from '../helpers/groups.ts'

runGroup('cli')
