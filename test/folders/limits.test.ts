import { runFolders } from '../helpers/folders.ts'

runFolders(['buffers', 'limits', 'net', 'streams', 'text'])
