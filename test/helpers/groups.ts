/** Test files that run in one process: most take less time than a process which loads the test runner and the sources. */
import { readdirSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../', import.meta.url))

interface Group {
  /** Of `test`, without those in them. */
  folders: readonly string[]
  /** Names of files that need a process of their own. */
  except?: readonly string[]
}

/** Each has a file in `test/groups`; `.taprc` leaves the files of its folders out. */
const GROUPS = {
  candy: { folders: ['nodes/candy', 'nodes/candy/direct'], except: ['flood', 'peer-life'] },
  cli: { folders: ['cli/candy/original', 'cli/config', 'cli/natpass/original', 'cli/rustdesk/original', 'cli/showchain'], except: ['nat', 'programs', 'usage'] },
  gotunnel: { folders: ['nodes/gotunnel'], except: ['hostile', 'many-users', 'stalled-users'] },
  natpass: { folders: ['nodes/common', 'nodes/common/options', 'nodes/natpass/peer', 'nodes/natpass/protocol', 'nodes/natpass/relay'] },
  'natpass-code': { folders: ['nodes/natpass/peer/code'] },
  'natpass-desktop': { folders: ['nodes/natpass/peer/desktop', 'nodes/natpass/peer/desktop/worker'] },
  'natpass-shell': { folders: ['nodes/natpass/peer/page', 'nodes/natpass/peer/shell', 'nodes/stun'], except: ['chromium', 'desktop-chromium', 'desktop-lost-chromium', 'overview-chromium'] },
  parts: {
    folders: ['bench', 'buffers', 'crypto', 'crypto/nacl', 'crypto/sha256', 'docs', 'limits', 'nat', 'net', 'net/native', 'streams', 'text'],
    except: ['delivery', 'imports', 'port-mapping', 'program', 'unsent']
  },
  rustdesk: { folders: ['nodes/rustdesk/keys', 'nodes/rustdesk/protocol', 'nodes/rustdesk/relay', 'nodes/rustdesk/rendezvous', 'nodes/rustdesk/store'] },
  showchain: { folders: ['nodes/showchain/peer', 'nodes/showchain/protocol', 'nodes/showchain/relay'], except: ['connecting', 'nat-pairs', 'peer'] },
  simulation: { folders: ['transports/memory/simulation', 'transports/memory/simulation/stream'] },
  transforms: { folders: ['transforms', 'transforms/capture', 'transforms/link-mux', 'transforms/protobuf', 'transforms/reliable', 'transforms/secretbox', 'transforms/signed', 'transforms/websocket-frames'] },
  tun: { folders: ['tun', 'tun/offload'], except: ['linux', 'native-errors'] },
  udp: { folders: ['transports/udp'], except: ['fallbacks', 'flood', 'network', 'routed', 'workers'] }
} satisfies Record<string, Group>

export type GroupName = keyof typeof GROUPS

export const GROUP_NAMES = Object.keys(GROUPS) as GroupName[]

/** Paths of its files, from `test`. */
export function filesOf (name: GroupName): string[] {
  const { folders, except = [] }: Group = GROUPS[name]
  return folders.flatMap((folder) => readdirSync(root + folder)
    .filter((file) => file.endsWith('.test.ts') && !except.includes(file.replace('.test.ts', '')))
    .sort()
    .map((file) => `${folder}/${file}`))
}

/** Runs the tests of a group, one after the other. */
export function runGroup (name: GroupName): void {
  t.setTimeout(300_000)
  t.test('all files are loaded', async () => { // the tests in them come after this one
    for (const file of filesOf(name)) await import(pathToFileURL(root + file).href)
  })
}
