import { createHash } from 'node:crypto';
import { cropOf } from './enum-names';
import type { ITransform } from './messages';

/**
 * Key of a picture's latents: SHA-256 (hex) of its decoded, oriented, cropped RGB pixels, the transform that made them and the VAE's
 * fingerprint. Another crop or model is another key, never a stale hit.
 */
export function latentsKey(of: {
  pixels: Uint8Array;
  width: number;
  height: number;
  transform: ITransform;
  vaeFingerprint: string;
}): string {
  const hash = createHash('sha256');
  hash.update(
    JSON.stringify([
      'latents',
      1,
      of.width,
      of.height,
      cropOf(of.transform),
      Boolean(of.transform.flip),
      of.vaeFingerprint,
    ]),
  );
  hash.update(of.pixels);
  return hash.digest('hex');
}

/** Key of a caption's prompt embeds: SHA-256 (hex) of the NFC caption, the T5 length and the fingerprint of encoders and tokenizers. */
export function promptsKey(of: { caption: string; maxLength: number; textFingerprint: string }): string {
  return createHash('sha256')
    .update(JSON.stringify(['prompts', 1, of.caption.normalize('NFC'), of.maxLength, of.textFingerprint]))
    .digest('hex');
}
