import { runFolders } from '../helpers/folders.ts'

runFolders(['transforms', 'transforms/capture', 'transforms/link-mux', 'transforms/protobuf', 'transforms/websocket-frames'])
