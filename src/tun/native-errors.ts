/** Converts errors of the C library and of pollers to those of interfaces. */
import { NativeError } from '../net/native/native-error.ts'
import type { Poller } from '../net/native/poller.ts'
import { TunError } from './device.ts'

/** A `TunError` for a `NativeError`; other errors unchanged. */
export function asTunError (err: Error): Error {
  if (!(err instanceof NativeError)) return err
  const { code, message, cause } = err
  return code === 'ERR_NATIVE_KOFFI'
    ? new TunError('ERR_TUN_KOFFI', 'a TUN device needs the optional package koffi: npm install koffi', { cause })
    : new TunError('ERR_TUN_SYSTEM', message, { cause })
}

/** Converts all errors of a poller. */
export const withTunErrors = (poller: Poller): Poller => ({
  watch (fd, onReady) {
    try {
      return poller.watch(fd, (err) => { onReady(err === undefined ? undefined : asTunError(err)) })
    } catch (err) {
      throw asTunError(err as Error)
    }
  }
})
