/** Configuration files of the original programs, mapped to our options (natpass protocol, section 5). */
import { dirname, isAbsolute, resolve } from 'node:path'
import { readableByOthers } from '../../config/bounded-file.ts'
import type { ConfigFile, Values } from '../../config/settings.ts'
import { placeText } from '../../config/yaml-document.ts'
import type { ForeignConfig } from '../../protocol.ts'
import { printable } from '../../../text/printable.ts'
import { dashboardOf } from './dashboard.ts'
import { peerKeys, relayKeys, type Keys } from './keys.ts'
import { ORIGINAL_KEYS, readOriginalPeer, readOriginalRelay, type Original } from './read.ts'

/** The key of our section: a file with it is one of ours. */
const OURS = 'natpass'

/** Keys and sections without an equivalent here. */
const IGNORED: Readonly<Record<string, string>> = {
  log: 'lines go to stderr',
  link: 'time-outs are fixed here'
}

/** The file format, for a program. */
export const natpassYaml = (program: 'relay' | 'peer'): ForeignConfig => ({
  recognises: isNatpassYaml,
  parse: (file, text, isGiven = () => false) => program === 'relay' ? relayConfig(readOriginalRelay(file, text)) : peerConfig(readOriginalPeer(file, text), isGiven)
})

/**
 * Whether a file is one of the original: it has one of its keys at the top, and not ours; or nothing but `#include`.
 *
 * @param text - one character for each byte
 */
export function isNatpassYaml (text: string): boolean {
  const lines = text.replace(/^\xef\xbb\xbf/, '').split('\n')
  const keys = lines.flatMap((line) => {
    const [, , quotedKey, key = quotedKey] = /^(?:(["'])([\w-]+)\1|([\w-]+))[ \t]*:(?:\s|$)/.exec(line) ?? []
    return key === undefined ? [] : [key]
  })
  if (keys.length === 0) return lines.some((line) => /^\s*#include\b/.test(line)) && lines.every((line) => /^\s*(?:#|$)/.test(line))
  return !keys.includes(OURS) && keys.some((key) => ORIGINAL_KEYS.includes(key))
}

const relayConfig = (original: Original<typeof relayKeys>): ConfigFile => configFile(original, relayKeys, {})

function peerConfig (original: Original<typeof peerKeys>, isGiven: (key: string) => boolean): ConfigFile {
  const { values, rules, placeOf } = original
  const { page, warnings } = isGiven('page') ? NO_PAGE : dashboardOf(original, ['page-password', 'page-password-file'].some(isGiven))
  const codedir = isGiven('codedir') ? undefined : codedirOf(original)
  return configFile(original, peerKeys, {
    page,
    codedir: codedir?.path,
    ...(values['ssl.enabled'] ? {} : { insecure: undefined }), // of no use then
    ...(rules.length === 0 ? {} : { rules: rules.map(({ given }) => given) })
  }, [
    ...warnings,
    ...codedir?.warnings ?? [],
    ...(placeOf('id') === undefined ? [`${original.file}: id is missing: others call this peer ${values.id}, as the original does`] : [])
  ])
}

const NO_PAGE = { page: undefined, warnings: [] }

/** Relative to the file that it is in. */
function codedirOf ({ values: { codedir }, placeOf }: Original<typeof peerKeys>): { path: string, warnings: string[] } | undefined {
  const place = placeOf('codedir')
  if (codedir === undefined || place === undefined) return undefined
  if (isAbsolute(codedir)) return { path: codedir, warnings: [] }
  const path = resolve(dirname(place.file), codedir)
  return { path, warnings: [`${placeText(place)}: codedir is ${printable(path)}: relative to this file, where that of the original is relative to its program`] }
}

function configFile<K extends Keys> (original: Original<K>, keys: K, values: Values, warnings: readonly string[] = []): ConfigFile {
  const { file, placeOf } = original
  const all: Readonly<Record<string, unknown>> = original.values
  const mapped = Object.entries(keys).flatMap(([theirs, { ours }]) => ours === undefined || all[theirs] === undefined || all[theirs] === false ? [] : [[ours, all[theirs]]])
  const section = Object.fromEntries(Object.entries({ ...Object.fromEntries(mapped), ...values }).filter(([, value]) => value !== undefined))
  return {
    file,
    values: { [OURS]: section },
    warnings: [...original.warnings, ...ignored(original), ...exposed(original), ...warnings],
    isForeign: true,
    name (path) {
      const [section, key = section, ...rest] = path
      const theirs = [...(Object.keys(keys).find((name) => keys[name].ours === key) ?? key).split('.'), ...rest]
      for (let length = theirs.length; length > 0; length--) {
        const place = placeOf(theirs.slice(0, length).join('.'))
        if (place !== undefined) return `${placeText(place)}: ${theirs.join('.')}`
      }
      return `${file}: ${theirs.join('.')}`
    }
  }
}

function ignored ({ placeOf }: Original<Keys>): string[] {
  return Object.entries(IGNORED).flatMap(([name, reason]) => {
    const place = placeOf(name)
    return place === undefined ? [] : [`${placeText(place)}: ${name} is ignored: ${reason}`]
  })
}

/** The first file is checked by those who load it. */
function exposed ({ file, values, placeOf }: Original<Keys>): string[] {
  const place = placeOf('secret')
  return values.secret === undefined || place === undefined || place.file === file || !readableByOthers(place.file) ? [] : [`${place.file} holds a secret and others can read it: chmod 600 ${place.file}`]
}
