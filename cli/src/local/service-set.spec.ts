import { readSettings } from '../settings';
import { servicePrograms } from './service-set';

test('the gateway is told every name that it goes by', () => {
  const env = { ATELIER_HTTP_HOST: '0.0.0.0', ATELIER_PUBLIC_URL: 'https://atelier.example.com,http://atelier.lan' };
  const gateway = servicePrograms(readSettings({}, env), 'nats://127.0.0.1:4222', 7871, {}).find(
    ({ name }) => name === 'gateway',
  );
  expect(gateway?.env).toMatchObject({ ...env, ATELIER_HTTP_PORT: '7871' });
});
