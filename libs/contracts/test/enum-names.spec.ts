import {
  adapterFormats,
  AtelierError,
  baseQuants,
  cropFields,
  cropOf,
  crops,
  EncodedKind,
  encodedKindFields,
  encodedKindOf,
  EncodeFailed,
  EncodeReady,
  Error as ErrorMessage,
  ERROR_CODES,
  errorMessage,
  errorOf,
  GenerateWork,
  PictureFormat,
  pictureFormatFields,
  pictureFormatOf,
  pictureFormats,
  StatusCode,
  Transform,
} from '@atelier/contracts';

/** As they were written before there were enums. */
const EARLIER = {
  jpeg: GenerateWork.encode({ id: 'g', format: 'jpeg' }).finish(),
  ready: EncodeReady.encode({ key: 'k', kind: 'prompts' }).finish(),
  failed: EncodeFailed.encode({ key: 'k', kind: 'latents' }).finish(),
  crop: Transform.encode({ width: 64, height: 64, crop: 'center' }).finish(),
  smart: Transform.encode({ width: 64, height: 64, crop: 'smart' }).finish(),
  error: ErrorMessage.encode({ code: 'NOT_FOUND', message: 'no', details: { a: 'b' } }).finish(),
};

describe('enums that were texts', () => {
  it('are read from messages of 0.1.0', () => {
    expect(pictureFormatOf(GenerateWork.decode(EARLIER.jpeg))).toBe('jpeg');
    expect(encodedKindOf(EncodeReady.decode(EARLIER.ready))).toBe('prompts');
    expect(encodedKindOf(EncodeFailed.decode(EARLIER.failed))).toBe('latents');
    expect(cropOf(Transform.decode(EARLIER.crop))).toBe('center');
    expect(cropOf(Transform.decode(EARLIER.smart))).toBe('smart');
    expect(errorOf(ErrorMessage.decode(EARLIER.error))).toMatchObject({
      code: 'NOT_FOUND',
      message: 'no',
      details: { a: 'b' },
    });
  });

  it('are written for readers of 0.1.0 too', () => {
    expect(pictureFormatFields('webp')).toEqual({ format: 'webp', pictureFormat: 3 });
    expect(encodedKindFields('latents')).toEqual({ kind: 'latents', encoded: 1 });
    expect(cropFields('center')).toEqual({ crop: 'center', cropKind: 1 });
    expect(errorMessage('UNAVAILABLE', 'no', {})).toEqual({
      code: 'UNAVAILABLE',
      status: 14,
      message: 'no',
      details: {},
    });
  });

  it('count before the text beside them', () => {
    expect(pictureFormatOf({ pictureFormat: PictureFormat.PICTURE_FORMAT_JPEG, format: 'png' })).toBe('jpeg');
    expect(encodedKindOf({ encoded: EncodedKind.ENCODED_KIND_LATENTS, kind: 'prompts' })).toBe('latents');
    expect(errorOf({ status: StatusCode.STATUS_CODE_NOT_FOUND, code: 'INTERNAL' }).code).toBe('NOT_FOUND');
  });

  it('have names for each value but the unspecified one', () => {
    expect(pictureFormats).toEqual(['png', 'jpeg', 'webp']);
    expect(crops).toEqual(['center']);
    expect(baseQuants).toEqual(['none', 'nf4', 'nf4_double']);
    expect(adapterFormats).toEqual(['diffusers', 'kohya']);
    expect(ERROR_CODES).toHaveLength(16);
    for (const code of ERROR_CODES) expect(errorOf({ status: errorMessage(code, '', {}).status }).code).toBe(code);
    expect(pictureFormatOf({})).toBe('png');
    expect(encodedKindOf({})).toBe('');
    expect(cropOf({})).toBe('center');
  });

  it('say of a later version what they can', () => {
    expect(pictureFormatOf(GenerateWork.fromObject({ pictureFormat: 9 }))).toBe('9');
    expect(errorOf(ErrorMessage.fromObject({ status: 99, message: 'new' }))).toEqual(
      new AtelierError('UNKNOWN', 'new'),
    );
    expect(errorOf({ code: 'A_NEW_ONE' }).code).toBe('UNKNOWN');
  });
});
