import { runGroup } from '../helpers/groups.ts'

runGroup('candy')
