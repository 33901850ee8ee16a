import { deflateRawSync } from 'node:zlib';
import { crc32 } from './hostile-files';

/**
 * A zip of one stored or deflated stream under any number of names, all pointing to the same bytes: 200 kB that inflate
 * to any size.
 */
export function overlappingZip(names: string[], content: Buffer): Buffer {
  const data = deflateRawSync(content, { level: 9 });
  const common = Buffer.alloc(26);
  common.writeUInt16LE(20, 0); // version needed
  common.writeUInt16LE(8, 4); // deflate
  common.writeUInt32LE(crc32(content), 10);
  common.writeUInt32LE(data.length, 14);
  common.writeUInt32LE(content.length, 18);
  const nameLength = Buffer.byteLength(names[0]!);
  common.writeUInt16LE(nameLength, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(names[0]!), data]);
  const directory = Buffer.concat(
    names.map((name) =>
      Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, Buffer.alloc(14), Buffer.from(name)]),
    ),
  );
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(names.length, 8);
  end.writeUInt16LE(names.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, directory, end]);
}
