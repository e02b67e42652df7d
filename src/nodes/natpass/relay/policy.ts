/** Who may open what to whom, by the rules of the relay. */
import type { LinkType } from '../protocol/message-types.ts'
import type { RelayRule } from './options.ts'

/**
 * Whether one client may open a link to another. The first rule that matches decides; without rules everything is allowed, with rules
 * nothing that none of them names.
 *
 * @param type undefined for a number that is none of ours
 */
export function mayOpen (rules: readonly RelayRule[] | undefined, from: string, to: string, type: LinkType | undefined): boolean {
  if (rules === undefined) return true
  const rule = rules.find((rule) => concerns(rule, from, to) && type !== undefined && rule.types.includes(type))
  return rule?.allow === true
}

/** Whether one client may send another messages that belong to no link: itself, or where it may open at least one type of link. */
export function mayMessage (rules: readonly RelayRule[] | undefined, from: string, to: string): boolean {
  return rules === undefined || from === to || rules.some((rule) => concerns(rule, from, to) && rule.types.some((type) => mayOpen(rules, from, to, type)))
}

const concerns = (rule: RelayRule, from: string, to: string): boolean => (rule.from ?? from) === from && (rule.to ?? to) === to
