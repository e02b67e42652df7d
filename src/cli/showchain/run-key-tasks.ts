/** What `peer showchain keygen` and `peer showchain id` do. */
import { idText } from '../../nodes/showchain/protocol/public-key.ts'
import { systemClock } from '../../streams/clock.ts'
import type { Flags } from '../config/settings.ts'
import { createKeyFile, readKeyFile } from './key-file.ts'
import { idOptions, keygenOptions } from './task-options.ts'
import { taskSettings } from '../config/task-settings.ts'

/** Milliseconds after which one is told that a key takes its time. */
const PATIENCE = 1000

export async function runKeygen (flags: Flags): Promise<void> {
  const { out: file, bits, overwrite, json } = taskSettings(flags, keygenOptions)
  const timer = systemClock.set(PATIENCE, () => { process.stderr.write(`looking for primes of a key of ${bits} bits, which may take some seconds\n`) })
  try {
    const id = idText((await createKeyFile({ file, bits, overwrite })).id)
    print(json, { id, file, bits }, id)
  } finally {
    systemClock.clear(timer)
  }
}

export async function runId (flags: Flags): Promise<void> {
  const { identity: file, json } = taskSettings(flags, idOptions)
  const { id, privateKey } = readKeyFile(file, '--identity')
  print(json, { id: idText(id), file, bits: privateKey.asymmetricKeyDetails?.modulusLength }, idText(id))
}

function print (json: boolean, value: object, text: string): void {
  process.stdout.write(`${json ? JSON.stringify(value) : text}\n`)
}
