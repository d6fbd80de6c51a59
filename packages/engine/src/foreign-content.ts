/**
 * Recognises what else may live on a device, so that a refusal can name it.
 *
 * Only the signatures that are met in practice; each is at the place where its own tools look for
 * it. Sources: the format pages of ext4, XFS, Btrfs, LVM2, LUKS, UEFI (GPT) and Ceph.
 */

interface Signature {
  readonly name: string;
  readonly offset: number;
  readonly bytes: readonly number[];
}

const text = (value: string): number[] => [...new TextEncoder().encode(value)];

const SIGNATURES: readonly Signature[] = [
  { name: 'an XFS file system', offset: 0, bytes: text('XFSB') },
  { name: 'a LUKS encrypted volume', offset: 0, bytes: [...text('LUKS'), 0xba, 0xbe] },
  { name: 'a Ceph BlueStore device', offset: 0, bytes: text('bluestore block device') },
  { name: 'a disk image (QCOW2)', offset: 0, bytes: [...text('QFI'), 0xfb] },
  { name: 'a GPT partition table', offset: 512, bytes: text('EFI PART') },
  { name: 'an LVM physical volume', offset: 512, bytes: text('LABELONE') },
  { name: 'an ext2, ext3 or ext4 file system', offset: 1080, bytes: [0x53, 0xef] },
  { name: 'a Linux swap area', offset: 4086, bytes: text('SWAPSPACE2') },
  { name: 'a Btrfs file system', offset: 65600, bytes: text('_BHRfS_M') },
  { name: 'a boot sector or an MBR partition table', offset: 510, bytes: [0x55, 0xaa] },
];

/** How many bytes from the start of a device {@link recogniseContent} wants to see. */
export const RECOGNISED_BYTES = 68 * 1024;

/**
 * What the first bytes of a device look like, in words.
 *
 * @returns `undefined` when they are all zero: nothing is there.
 */
export function recogniseContent(bytes: Uint8Array): string | undefined {
  for (const signature of SIGNATURES) {
    if (signature.bytes.every((byte, index) => bytes[signature.offset + index] === byte)) {
      return signature.name;
    }
  }
  return bytes.every((byte) => byte === 0) ? undefined : 'data of an unknown kind';
}
