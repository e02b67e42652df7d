import { runFolders } from '../helpers/folders.ts'

runFolders(['cli/config', 'cli/candy/original', 'cli/natpass/original'])
