/** The cores of the layers, without any network. */
import { checksumBench } from './layers/checksum.ts'
import { ipv4Bench } from './layers/ipv4.ts'
import { lengthPrefixBench } from './layers/length-prefix.ts'
import { linkMuxBench } from './layers/link-mux.ts'
import { masksBench } from './layers/masks.ts'
import { protobufBench } from './layers/protobuf.ts'
import { sealingBench } from './layers/sealing.ts'
import { secretboxBench } from './layers/secretbox.ts'
import { signedBench } from './layers/signed.ts'
import { stackBench } from './layers/stack.ts'
import { typeDemuxBench } from './layers/type-demux.ts'
import { websocketFramesBench } from './layers/websocket-frames.ts'
import type { Run } from './lib/run.ts'

const BENCHES = [websocketFramesBench, lengthPrefixBench, stackBench, checksumBench, typeDemuxBench, ipv4Bench, masksBench, linkMuxBench, protobufBench, sealingBench, secretboxBench, signedBench]

export async function layersBench (run: Run): Promise<void> {
  for (const bench of BENCHES) await bench(run)
}
