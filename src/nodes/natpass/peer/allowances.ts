/** What other clients may open here. */
import type { Allowance } from './options.ts'
import type { LinkType } from '../protocol/message-types.ts'

/** Whether a client may open a link of this type; nobody may by default. */
export function isAllowed (allowances: readonly Allowance[] | undefined, client: string, type: LinkType): boolean {
  return allowances?.some(({ from, types }) => (from === undefined || from === client) && types.includes(type)) ?? false
}
