declare module 'seek-bzip' {
  export interface BzipInput {
    readByte(): number;
    /** @returns how many were read, -1 at the end */
    read(into: Uint8Array, offset: number, length: number): number;
    eof(): boolean;
  }
  /** @param multistream goes on with what follows the first stream, as pbzip2 writes it */
  export function decode(input: BzipInput, output: { writeByte(byte: number): void }, multistream: boolean): void;
}
