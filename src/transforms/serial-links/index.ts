export { LinkResetError, MAX_OPENING } from './chunks.ts'
export { SerialLinks } from './links.ts'
