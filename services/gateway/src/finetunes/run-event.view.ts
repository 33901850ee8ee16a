import type { Event } from '@atelier/contracts';
import { runEvent } from '@atelier/jobs';
import { pictureUrl } from '../images/picture-url';

/** An event of a run as the stream's JSON, or nothing for what a person need not see. */
export function viewRunEvent(event: Event): object | null {
  const told = runEvent(event);
  switch (told?.type) {
    case 'sample': {
      const { image, ...rest } = told;
      return { ...rest, url: pictureUrl(image) };
    }
    case 'encoded':
    case 'encode_failed': {
      const { key: _key, ...rest } = told;
      return rest;
    }
    default:
      return told;
  }
}
