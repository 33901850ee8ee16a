// Reads the vocabulary out of a SentencePiece model file: a protobuf of sentencepiece.ModelProto, of which four fields are needed.
import { readFile } from 'node:fs/promises';
import { Reader } from 'protobufjs/minimal';
import { CheckpointError } from './errors';
import { missing } from './json-file';

export interface SentencePieceModel {
  pieces: { text: string; score: number }[];
  /** The normaliser's compiled character map, as tokenizer.json holds it in base64. */
  charsMap: Buffer;
}

// Field numbers of sentencepiece_model.proto.
const MODEL = { pieces: 1, trainer: 2, normalizer: 3 };
const PIECE = { text: 1, score: 2 };
const TRAINER = { modelType: 3 };
const NORMALIZER = { charsMap: 2 };
const UNIGRAM = 1;

export async function readSentencePieceModel(file: string): Promise<SentencePieceModel> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw missing(file, "the T5 tokenizer's vocabulary (tokenizer.json would do as well)", error);
  }
  const model: SentencePieceModel = { pieces: [], charsMap: Buffer.alloc(0) };
  let modelType = UNIGRAM;
  try {
    eachField(bytes, {
      [MODEL.pieces]: (reader) => model.pieces.push(readPiece(reader.bytes())),
      [MODEL.trainer]: (reader) =>
        eachField(reader.bytes(), { [TRAINER.modelType]: (inner) => (modelType = inner.int32()) }),
      [MODEL.normalizer]: (reader) =>
        eachField(reader.bytes(), { [NORMALIZER.charsMap]: (inner) => (model.charsMap = Buffer.from(inner.bytes())) }),
    });
  } catch (error) {
    throw new CheckpointError(
      'DATA_LOSS',
      `${file}: not a SentencePiece model (${(error as Error).message}); download the file again`,
    );
  }
  if (model.pieces.length === 0)
    throw new CheckpointError('DATA_LOSS', `${file}: holds no pieces; download the file again`);
  if (modelType !== UNIGRAM)
    throw new CheckpointError(
      'UNIMPLEMENTED',
      `${file}: its model type is ${modelType}, only unigram (${UNIGRAM}) is supported; use a T5 v1.1 tokenizer`,
    );
  return model;
}

function readPiece(bytes: Uint8Array): { text: string; score: number } {
  const piece = { text: '', score: 0 };
  eachField(bytes, {
    [PIECE.text]: (reader) => (piece.text = reader.string()),
    [PIECE.score]: (reader) => (piece.score = reader.float()),
  });
  return piece;
}

/** Calls the handler of each field that has one and skips the others. */
function eachField(bytes: Uint8Array, handlers: Record<number, (reader: Reader) => unknown>): void {
  const reader = Reader.create(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const handler = handlers[tag >>> 3];
    if (handler) handler(reader);
    else reader.skipType(tag & 7);
  }
}
