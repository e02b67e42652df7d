import { runFolders } from '../helpers/folders.ts'

runFolders(['transports'])
