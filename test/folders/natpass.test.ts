import { runFolders } from '../helpers/folders.ts'

runFolders(['nodes/natpass/protocol', 'nodes/natpass/relay', 'nodes/natpass/peer', 'nodes/common', 'nodes/common/options'])
