import { AtelierError } from '@atelier/contracts';
import { StoreFull } from '@atelier/mesh';
import { natsError } from '@atelier/testing';
import { httpError, PayloadTooLarge } from '../src/http-error';

test.each<[string, Error, number, string, RegExp]>([
  [
    'a refusal of ours',
    new AtelierError('NOT_FOUND', 'there is no run "x"'),
    404,
    'not_found',
    /^there is no run "x"$/,
  ],
  ['an upload over a limit', new PayloadTooLarge('too much'), 413, 'payload_too_large', /^too much$/],
  ['a mesh that does not answer', natsError('TIMEOUT'), 503, 'unavailable', /^NATS does not answer: try again/],
  ['a mesh whose streams are not back yet', natsError('503'), 503, 'unavailable', /^NATS does not answer/],
  ['a mesh whose JetStream is off', natsError('503', { code: 503 }), 503, 'unavailable', /^NATS does not answer/],
  [
    'a store that is full',
    new StoreFull('the store is full: 1 MiB'),
    507,
    'insufficient_storage',
    /^the store is full/,
  ],
  [
    'memory that is not enough',
    new AtelierError('RESOURCE_EXHAUSTED', 'needs 9 GB'),
    429,
    'resource_exhausted',
    /^needs 9 GB$/,
  ],
  ['what JetStream refuses', natsError('400', { code: 400 }), 500, 'internal', /reference here$/],
  [
    'what nobody foresaw',
    new TypeError('x is undefined'),
    500,
    'internal',
    /^something went wrong here.* reference here$/,
  ],
])('%s', (_what, error, status, code, message) => {
  const told = httpError(error, 'here');
  expect(told.status).toBe(status);
  expect(told.body.error).toMatchObject({ code, message: expect.stringMatching(message) });
  expect(told.unforeseen).toBe(status === 500);
});
