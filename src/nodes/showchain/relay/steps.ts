/** The words for what happens to a node at a helper. */
import type { StepWords } from './history.ts'

const asKind = (kind: number): string => kind === 0 ? '' : ` as T${kind}`

export const REGISTERED: StepWords = (_other, endpoint, kind) => `registered from ${endpoint}${asKind(kind)}`
export const REGISTERED_AGAIN: StepWords = (_other, _endpoint, kind) => `registered again${asKind(kind)}`
export const TOLD: StepWords = (other, endpoint) => `told that ${other} at ${endpoint} asks for it`
export const ASKED: StepWords = (other) => `asked for ${other}, which was told`
export const ANSWERED: StepWords = (_other, endpoint) => `has answered ${endpoint}`
export const GOT_ANSWER: StepWords = (other, endpoint) => `${other} has answered, and was told to it as ${endpoint}`
export const UNANSWERED: StepWords = () => 'has not answered a request that it was told of'
export const SENDS: StepWords = (other) => `sends to ${other} through this proxy`
export const IS_SENT_TO: StepWords = (other) => `${other} sends to it through this proxy`
export const SESSION_GONE: StepWords = () => 'nothing was sent through this proxy for 60 s'
export const GONE: StepWords = () => 'was not heard for 60 s, and cannot be reached any more'
