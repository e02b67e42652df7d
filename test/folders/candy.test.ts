import { runFolders } from '../helpers/folders.ts'

runFolders(['nodes/candy'], ['nodes/candy/flood.test.ts', 'nodes/candy/peer-life.test.ts'])
