/** Loaded before a program: as if `@achingbrain/nat-port-mapper` was not installed. */
import { register } from 'node:module'

register('data:text/javascript,' + encodeURIComponent('export const resolve = (name, context, next) => { if (name === "@achingbrain/nat-port-mapper") throw Object.assign(new Error("none"), { code: "ERR_MODULE_NOT_FOUND" }); return next(name, context) }'))
