/** SHOW CHAIN as those who run it see it: key files of fixed keys, and both programs. */
import { idText } from '../../../src/nodes/showchain/protocol/public-key.ts'
import { identity, type KeyName } from '../showchain/keys.ts'

/** Whose keys they are here. */
const OWNERS = { relay: 'a', second: 'b', nas: 'c', laptop: 'd', stranger: 'e' } as const satisfies Record<string, KeyName>

export type Owner = keyof typeof OWNERS

/** What a key file has. */
export const keyFileText = (owner: Owner): string => identity(OWNERS[owner]).pem

export const idOf = (owner: Owner): string => idText(identity(OWNERS[owner]).id)

export const NAS = idOf('nas')
export const LAPTOP = idOf('laptop')
