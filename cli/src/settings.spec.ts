import { homedir } from 'node:os';
import { join } from 'node:path';
import { readSettings } from './settings';

describe('settings', () => {
  const before = process.env.ATELIER_DATA;
  beforeEach(() => delete process.env.ATELIER_DATA);
  afterAll(() => {
    if (before !== undefined) process.env.ATELIER_DATA = before;
  });

  test('without any: ~/.atelier, its FLUX.1-dev, this machine, no mesh named', () => {
    const settings = readSettings({}, {});
    expect(settings).toMatchObject({
      data: join(homedir(), '.atelier'),
      model: join(homedir(), '.atelier', 'models', 'FLUX.1-dev'),
      modelGiven: false,
      httpHost: '127.0.0.1',
      httpPort: 7870,
    });
    expect(settings.natsUrl).toBeUndefined();
  });

  test('a flag counts more than the environment', () => {
    const settings = readSettings(
      { nats: 'nats://a:1', model: '/m' },
      { ATELIER_NATS_URL: 'nats://b:2', ATELIER_MODEL: '/n' },
    );
    expect(settings).toMatchObject({ natsUrl: 'nats://a:1', model: '/m', modelGiven: true });
  });

  test('every bad setting is reported at once, by its name', () => {
    const bad = { ATELIER_NATS_URL: 'http://x y', ATELIER_HTTP_PORT: '99999', ATELIER_TEXT_TOKENS: 'many' };
    expect(() => readSettings({}, bad)).toThrow(
      /ATELIER_NATS_URL is "http:\/\/x y".*ATELIER_HTTP_PORT is "99999".*ATELIER_TEXT_TOKENS is "many"/s,
    );
  });

  test('credentials are for a mesh that is named', () => {
    const files = { ATELIER_NATS_SEED_FILE: '/s/cli.nk', ATELIER_NATS_TLS_CA: '/s/ca.pem' };
    const named = readSettings({ nats: 'tls://nats.example:4222' }, files);
    expect(named.credentials).toEqual({ seedFile: '/s/cli.nk', tlsCa: '/s/ca.pem' });
    expect(() => readSettings({}, files)).toThrow(
      /ATELIER_NATS_SEED_FILE is for a mesh that is named.*ATELIER_NATS_TLS_CA/,
    );
  });

  test('a misspelt one is refused with the one that was meant, beside the others', () => {
    expect(() => readSettings({}, { ATELIER_MODLE: '/m', ATELIER_HTTP_PORT: 'x' })).toThrow(
      /ATELIER_MODLE is no setting: the nearest is ATELIER_MODEL\..*ATELIER_HTTP_PORT is "x"/,
    );
    const settings = readSettings({}, { ATELIER_HTTP_PORT: 'tcp://10.0.0.7:80', ATELIER_INGEST_PARALLEL: '1' });
    expect(settings.httpPort).toBe(7870); // a service link of Kubernetes, and another's setting
  });

  test('the gateway goes by several names; one that is no address is refused', () => {
    const two = 'https://a.example, http://b.example:8080';
    expect(readSettings({}, { ATELIER_PUBLIC_URL: two }).publicUrls).toBe(two);
    expect(readSettings({}, { ATELIER_PUBLIC_URL: '' }).publicUrls).toBeUndefined();
    const bad = { ATELIER_PUBLIC_URL: 'https://a.example,b' };
    expect(() => readSettings({}, bad)).toThrow(/ATELIER_PUBLIC_URL is "https:\/\/a.example,b": use https:\/\/atelier/);
  });

  test.each([
    'nats://127.0.0.1:4222',
    'nats://a:4222,nats://b:4222',
    'localhost',
    'tls://user:secret@nats.example:4222',
  ])('a mesh may be at %s', (url) => {
    expect(readSettings({ nats: url }, {}).natsUrl).toBe(url);
  });
});
