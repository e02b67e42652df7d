import type { CaptureInterface } from '../../transforms/capture/index.ts'

export const PROTOCOL = 'showchain'

/** IP packets of UDP, as a capture of the network has them. */
export const CAPTURE_INTERFACES: readonly CaptureInterface[] = [{ linkType: 'raw', name: PROTOCOL }]
