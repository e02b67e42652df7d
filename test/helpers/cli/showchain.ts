/** SHOW CHAIN as those who run it see it: key files of fixed keys, and both programs. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { idText } from '../../../src/nodes/showchain/protocol/public-key.ts'
import { identity, type KeyName } from '../showchain/keys.ts'

/** Whose keys they are here. */
const OWNERS = { relay: 'a', second: 'b', nas: 'c', laptop: 'd', stranger: 'e' } as const satisfies Record<string, KeyName>

export type Owner = keyof typeof OWNERS

/** A folder with a key file, `<owner>.pem`, of each of them. */
export function keyFolder (t: Test, ...owners: Owner[]): string {
  const folder = t.testdir()
  for (const owner of owners) writeFileSync(join(folder, `${owner}.pem`), identity(OWNERS[owner]).pem, { mode: 0o600 })
  return folder
}

export const idOf = (owner: Owner): string => idText(identity(OWNERS[owner]).id)

export const NAS = idOf('nas')
export const LAPTOP = idOf('laptop')
