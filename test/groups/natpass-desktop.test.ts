import { runGroup } from '../helpers/groups.ts'

runGroup('natpass-desktop')
