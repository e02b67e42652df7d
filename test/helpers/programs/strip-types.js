/**
 * Loaded before a program in TypeScript (`--import`), in each of its threads: Node 20 runs it then. Newer Nodes strip types themselves.
 * The tests are such programs as well: see `.taprc`.
 */
import { register } from 'node:module'

if (!process.features.typescript) register('./strip-types-hooks.js', import.meta.url)
