import { toldEvent, type StreamedEvent } from '@atelier/jobs';
import { pictureUrl } from '../images/picture-url';

/** An event as the streams' JSON, with addresses of pictures for their names; nothing for what a person need not see. */
export function viewEvent(streamed: StreamedEvent, address = ''): object | null {
  const told = toldEvent(streamed);
  if (!told) return null;
  if ('images' in told) {
    const { images, ...rest } = told;
    return { ...rest, data: images.map((image) => ({ url: pictureUrl(image, address) })) };
  }
  if (told.type === 'sample' && 'image' in told) {
    const { image, ...rest } = told;
    return { ...rest, url: pictureUrl(image, address) };
  }
  if ('key' in told) {
    const { key: _key, ...rest } = told;
    return rest;
  }
  return told;
}
