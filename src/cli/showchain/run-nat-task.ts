/** What `peer showchain nat` does. */
import { kindName } from '../../nodes/showchain/peer/chances.ts'
import { inspectNat, type NatInspection } from '../../nodes/showchain/peer/nat.ts'
import { Identity } from '../../nodes/showchain/protocol/identity.ts'
import type { Flags } from '../config/settings.ts'
import { table } from '../control/text.ts'
import { readKeyFile } from './key-file.ts'
import { helperRows, kindText } from './status-text.ts'
import { natOptions } from './task-options.ts'
import { taskSettings } from '../config/task-settings.ts'

/** Of a key that is used once. */
const BITS = 2048

/** No helper has answered. */
export class NoHelperError extends Error {
  override readonly name = 'NoHelperError'
  readonly code = 'ERR_NO_HELPER'
}

export async function runNat (flags: Flags): Promise<void> {
  const { bootstrap, identity: file, port, json } = taskSettings(flags, natOptions)
  const identity = file === undefined ? await Identity.generate(BITS) : readKeyFile(file, '--identity')
  const found = await inspectNat({ identity, bootstrap, port })
  if (found.mapped.length === 0) throw new NoHelperError(`no relay answers: ${found.helpers.map(({ name, reason }) => `${name} (${reason ?? 'no answer'})`).join(', ')}`)
  process.stdout.write(`${json ? JSON.stringify({ ...found, kind: kindName(found.kind) }) : natText(found)}\n`)
}

export function natText (found: NatInspection): string {
  const { kind, isCertain, mapped, local, helpers } = found
  return [
    `${kindText(kind)}${kind === undefined || isCertain ? '' : ', as far as could be tested'}`,
    ...whyOf(found).map((why) => `  ${why}`),
    `outside ${mapped.length === 0 ? 'nobody has told' : mapped.join(', ')}; here udp://${local}`,
    '',
    table(helperRows(helpers))
  ].join('\n')
}

function whyOf ({ kind, helpers, isMappingIndependent, passesOtherHost, passesOtherPort }: NatInspection): string[] {
  if (helpers.length < 2) return ['one relay alone does not tell: --bootstrap can be repeated']
  if (kind === undefined) return ['the second relay has not answered, or has the address of the first one: two addresses are needed']
  const tested = (what: string, does: boolean | undefined): string => does === undefined ? `whether what comes from ${what} gets in could not be tested` : `what comes from ${what} ${does ? 'gets in' : 'does not get in'}`
  return [
    isMappingIndependent === true ? 'both relays see the same endpoint' : 'each relay sees another endpoint',
    ...(isMappingIndependent === true ? [`${tested('an address that nothing was sent to', passesOtherHost)}${passesOtherHost === undefined ? ': each relay has to name the other one by its own --bootstrap' : ''}`] : []),
    ...(isMappingIndependent === true && passesOtherHost !== true ? [tested('another port of an address that something was sent to', passesOtherPort)] : [])
  ]
}
