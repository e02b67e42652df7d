/** Loaded before a program: a koffi that never tells that a TUN device is readable, as Linux may miss to when the interface is removed. */
import { readlinkSync } from 'node:fs'
import koffi from 'koffi'

const { poll } = koffi.node
koffi.node.poll = (fd, wanted, ready) => poll(fd, wanted, readlinkSync(`/proc/self/fd/${fd}`).includes('tun') ? () => {} : ready)
