/** Loaded before a program: as if libsql was not installed. */
import { register } from 'node:module'

register('data:text/javascript,' + encodeURIComponent('export const resolve = (name, context, next) => { if (name === "libsql") throw new Error("none"); return next(name, context) }'))
