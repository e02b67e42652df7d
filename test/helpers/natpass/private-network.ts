/** Whether this is a network namespace of its own. */
import { networkInterfaces } from 'node:os'

/** Nothing but the loopback: whoever listens on all addresses here cannot be reached from outside. */
export const isPrivate = (): boolean => Object.keys(networkInterfaces()).every((name) => name === 'lo')
