import { runFolders } from '../helpers/folders.ts'

runFolders(['nodes/gotunnel'], ['nodes/gotunnel/hostile.test.ts', 'nodes/gotunnel/many-users.test.ts', 'nodes/gotunnel/stalled-users.test.ts'])
