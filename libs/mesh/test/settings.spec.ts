import { baseSettings, loadConfig, MeshModule, SETTINGS, settingsIn, startService, unknownSettings } from '../src';

describe('a variable that nothing reads', () => {
  test.each([
    ['ATELIER_NATS_URI', 'ATELIER_NATS_URL'],
    ['ATELIER_NATS_RUL', 'ATELIER_NATS_URL'],
    ['ATELIER_LOGLEVEL', 'ATELIER_LOG_LEVEL'],
    ['ATELIER_TEXT_TOKEN', 'ATELIER_TEXT_TOKENS'],
    ['ATELIER_PREFETCH', 'ATELIER_TRAINER_PREFETCH'],
  ])('%s is refused with %s beside it, and without its value', (name, meant) => {
    const load = (): unknown => loadConfig(baseSettings, { [name]: 'secret' });
    expect(load).toThrow(`${name} is no setting: the nearest is ${meant}. Correct its name, or unset it`);
    expect(load).not.toThrow('secret');
  });

  test('is told beside every bad one', () => {
    const env = { ATELIER_LOG_LEVEL: 'loud', ATELIER_MODLE: '/m', ATELIER_DATTA: '/d' };
    expect(() => loadConfig(baseSettings, env)).toThrow(/ATELIER_MODLE.*ATELIER_DATTA.*ATELIER_LOG_LEVEL is "loud"/s);
  });

  test('ends a service before it looks for a mesh', async () => {
    const env = { ATELIER_NATS_URI: 'nats://127.0.0.1:1' };
    await expect(startService(MeshModule, 'x', env)).rejects.toThrow('ATELIER_NATS_URI is no setting');
  });
});

test('a setting that another service or the command reads is no slip, nor is one that is set to nothing', () => {
  const all = Object.fromEntries(SETTINGS.map((name) => [name, 'x']));
  expect(unknownSettings({ ...all, ATELIER_ADDON_PATH: '/a', ATELIER_ANYTHING: '', PATH: '/bin' })).toEqual({});
});

describe('what Kubernetes sets for services named atelier-…', () => {
  const links = {
    ATELIER_GATEWAY_SERVICE_HOST: '10.0.0.7',
    ATELIER_GATEWAY_SERVICE_PORT: '7870',
    ATELIER_GATEWAY_SERVICE_PORT_HTTP: '7870',
    ATELIER_GATEWAY_PORT: 'tcp://10.0.0.7:7870',
    ATELIER_GATEWAY_PORT_7870_TCP: 'tcp://10.0.0.7:7870',
    ATELIER_GATEWAY_PORT_7870_TCP_PROTO: 'tcp',
    ATELIER_GATEWAY_PORT_7870_TCP_PORT: '7870',
    ATELIER_GATEWAY_PORT_7870_TCP_ADDR: '10.0.0.7',
    ATELIER_SERVICE_HOST: '10.0.0.8',
    ATELIER_PORT: 'tcp://10.0.0.8:80',
  };

  test('is no slip', () => {
    expect(unknownSettings(links)).toEqual({});
    expect(settingsIn(links)).toEqual({});
  });

  test('does not stand for a setting of the same name', () => {
    const env = { ATELIER_HEALTH_PORT: 'tcp://10.0.0.9:8080', ATELIER_NATS_URL: 'nats://nats:4222' };
    expect(loadConfig(baseSettings, env)).toMatchObject({ ATELIER_NATS_URL: 'nats://nats:4222' });
    expect(loadConfig(baseSettings, env).ATELIER_HEALTH_PORT).toBeUndefined();
  });
});
