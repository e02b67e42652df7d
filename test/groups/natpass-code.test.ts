import { runGroup } from '../helpers/groups.ts'

runGroup('natpass-code')
