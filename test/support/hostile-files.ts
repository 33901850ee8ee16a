import { deflateRawSync, deflateSync } from 'node:zlib';
import type { Files } from './api';

/** A real PNG header of that size with almost no data behind it. */
export function pngOfSize(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8); // 8 bits, RGB
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    return Buffer.concat([uint32BE(data.length), body, uint32BE(crc32(body))]);
  };
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(100))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** A zip with names as they are given, which writers of zips would refuse. */
export function zipOf(entries: Files): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(entries)) {
    const raw = Buffer.from(content as Uint8Array);
    const packed = deflateRawSync(raw);
    const label = Buffer.from(name);
    const common = Buffer.alloc(26); // version, flags, method, time, date, crc, sizes, lengths: the same in both headers
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(8, 4); // deflate
    common.writeUInt32LE(crc32(raw), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(raw.length, 18);
    common.writeUInt16LE(label.length, 22);
    const central = Buffer.alloc(14); // comment length, disk, attributes, where the entry begins
    central.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, central, label]));
    parts.push(Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, label, packed]));
    offset += 30 + label.length + packed.length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(parts.length, 8);
  end.writeUInt16LE(parts.length, 10);
  end.writeUInt32LE(listing.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, listing, end]);
}

export interface HeaderEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}
type Header = Record<string, HeaderEntry>;

/** A safetensors file taken apart, changed and put together again without a look at whether it still makes sense. */
export function tampered(file: Buffer, change: (header: Header, data: Buffer) => Buffer | void): Buffer {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Header;
  const data = Buffer.from(file.subarray(8 + length));
  const changed = change(header, data) ?? data;
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, changed]);
}

/** The same with a header that claims to be that long. */
export function withHeaderLength(file: Buffer, length: bigint): Buffer {
  const changed = Buffer.from(file);
  changed.writeBigUInt64LE(length);
  return changed;
}

/** Takes a tensor out, bytes and all, so that everything else is in order. */
export function without(file: Buffer, name: string): Buffer {
  return tampered(file, (header, data) => {
    const [begin, end] = header[name]!.data_offsets;
    delete header[name];
    for (const [other, entry] of Object.entries(header)) {
      if (other !== '__metadata__' && entry.data_offsets[0] >= end)
        entry.data_offsets = [entry.data_offsets[0] - (end - begin), entry.data_offsets[1] - (end - begin)];
    }
    return Buffer.concat([data.subarray(0, begin), data.subarray(end)]);
  });
}

const CRC_OF_BYTE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  return crc;
});

function uint32BE(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** By table: a bomb has many bytes. */
function crc32(bytes: Buffer): number {
  let crc = ~0;
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_OF_BYTE[(crc ^ byte) & 255]!;
  return ~crc >>> 0;
}
