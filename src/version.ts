import { createRequire } from 'node:module'

const { version: text } = createRequire(import.meta.url)('tunpipe/package.json') as { version: string }

/** The version of this package: it names itself, so that the same line works in `src` and in `dist`. */
export const version = text
